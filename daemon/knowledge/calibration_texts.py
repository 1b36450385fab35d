"""Texts by which a model's vectors are measured: everyday questions of customers, in four languages.

Each group is one question; another way to ask it; one that sounds alike and has another answer, though numbers, days
and negations are the same; and a passage that answers the first. A topic stands at the same place in each language.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class Group(NamedTuple):
    question: str
    same: str
    other: str
    passage: str


_ENGLISH = (
    Group(
        "How long does delivery take?",
        "When will my order arrive once I have bought it?",
        "How long does a repair take?",
        "Orders arrive within two to three days in the city, and within a week elsewhere.",
    ),
    Group(
        "Can I return a product that I do not like?",
        "I don't want it after all, may I give it back?",
        "Can I exchange a product for another colour?",
        "Goods may be given back within two weeks as long as the package is closed. The money goes back to your card.",
    ),
    Group(
        "How can I pay?",
        "Which payment methods do you accept?",
        "Who can I pay?",
        "We take cash, bank cards and Apple Pay.",
    ),
    Group(
        "Where is your shop?",
        "What is your address?",
        "Where is my order?",
        "You find us on King Fahd Street, beside the central library.",
    ),
    Group(
        "When do you open?",
        "What are your opening hours?",
        "When did you open your first shop?",
        "The shop is open from nine in the morning to ten at night, on Fridays from four.",
    ),
    Group(
        "Does it come with a warranty?",
        "Is there any guarantee on it?",
        "Does it come with a charger?",
        "All devices have a guarantee of two years against faults of the maker.",
    ),
    Group(
        "How do I book an appointment?",
        "I'd like to reserve a time, how does that work?",
        "How do I move an appointment?",
        "Write the day and hour that suit you, and we confirm your appointment by a message.",
    ),
    Group(
        "How much is delivery?",
        "What do you charge for shipping?",
        "How much is gift wrapping?",
        "Delivery costs twenty riyals within the city and is free from three hundred.",
    ),
    Group(
        "Is there milk in the cake?",
        "Does the cake contain dairy?",
        "Are there nuts in the cake?",
        "Our cake is made with butter, cream and eggs.",
    ),
    Group(
        "Are you hiring?",
        "Do you have any open jobs?",
        "Are you selling the business?",
        "We are looking for drivers and cashiers: send your CV to the branch manager.",
    ),
)
_ARABIC = (
    Group(
        "كم يستغرق التوصيل؟",
        "متى يوصل طلبي بعد الشراء؟",
        "كم يستغرق الإصلاح؟",
        "تصل الطلبات خلال يومين إلى ثلاثة أيام داخل المدينة، وخلال أسبوع خارجها.",
    ),
    Group(
        "هل أقدر أرجع المنتج إذا ما عجبني؟",
        "غيرت رأيي، ممكن أرد البضاعة؟",
        "هل أقدر أبدل المنتج بلون ثاني؟",
        "يمكن إرجاع البضاعة خلال أسبوعين ما دامت العبوة مغلقة، ويعاد المبلغ إلى بطاقتك.",
    ),
    Group(
        "كيف أقدر أدفع؟",
        "ما هي طرق الدفع عندكم؟",
        "لمن أدفع؟",
        "نقبل الدفع نقدا وبالبطاقة البنكية وبأبل باي.",
    ),
    Group(
        "وين محلكم؟",
        "ما هو عنوانكم؟",
        "وين طلبي؟",
        "تجدوننا في شارع الملك فهد بجانب المكتبة المركزية.",
    ),
    Group(
        "متى تفتحون؟",
        "ما هي ساعات العمل عندكم؟",
        "متى فتحتم أول محل لكم؟",
        "المحل مفتوح من التاسعة صباحا إلى العاشرة مساء، ويوم الجمعة من الرابعة عصرا.",
    ),
    Group(
        "هل عليه ضمان؟",
        "فيه كفالة على الجهاز؟",
        "هل معه شاحن؟",
        "جميع الأجهزة مكفولة لمدة سنتين ضد عيوب التصنيع.",
    ),
    Group(
        "كيف أحجز موعد؟",
        "أبغى أحدد وقت عندكم، كيف الطريقة؟",
        "كيف أغير موعدي؟",
        "اكتب اليوم والساعة المناسبة لك ونؤكد موعدك برسالة.",
    ),
    Group(
        "بكم التوصيل؟",
        "كم تاخذون على الشحن؟",
        "بكم تغليف الهدايا؟",
        "التوصيل بعشرين ريالا داخل المدينة، ومجاني للطلبات فوق ثلاثمئة.",
    ),
    Group(
        "هل في الكيك حليب؟",
        "الكيك يحتوي على ألبان؟",
        "هل في الكيك مكسرات؟",
        "نصنع الكيك بالزبدة والكريمة والبيض.",
    ),
    Group(
        "هل عندكم توظيف؟",
        "فيه وظائف شاغرة عندكم؟",
        "هل المحل للبيع؟",
        "نبحث عن سائقين وكاشير: أرسل سيرتك الذاتية إلى مدير الفرع.",
    ),
)
_PORTUGUESE = (
    Group(
        "Quanto tempo demora a entrega?",
        "Depois da compra, quando chega o meu pedido?",
        "Quanto tempo demora o conserto?",
        "Os pedidos chegam em dois a três dias na cidade e em até uma semana nas outras regiões.",
    ),
    Group(
        "Posso devolver um produto que não gostei?",
        "Mudei de ideia, dá para devolver a mercadoria?",
        "Posso trocar o produto por outra cor?",
        "A mercadoria pode ser devolvida em duas semanas com a embalagem fechada. O valor volta para o cartão.",
    ),
    Group(
        "Como posso pagar?",
        "Quais são as formas de pagamento?",
        "Para quem eu pago?",
        "Aceitamos dinheiro, cartão e Pix.",
    ),
    Group(
        "Onde fica a loja?",
        "Qual é o endereço de vocês?",
        "Onde está o meu pedido?",
        "Estamos na Rua das Flores, ao lado da biblioteca central.",
    ),
    Group(
        "Que horas vocês abrem?",
        "Qual é o horário de funcionamento?",
        "Quando vocês abriram a primeira loja?",
        "A loja abre das nove da manhã às dez da noite, e às sextas a partir das quatro.",
    ),
    Group(
        "Tem garantia?",
        "Esse aparelho vem com alguma garantia?",
        "Vem com carregador?",
        "Todos os aparelhos têm garantia de dois anos contra defeitos de fábrica.",
    ),
    Group(
        "Como marco um horário?",
        "Queria agendar uma hora, como faço?",
        "Como remarco o meu horário?",
        "Escreva o dia e a hora que preferir e confirmamos o agendamento por mensagem.",
    ),
    Group(
        "Quanto custa a entrega?",
        "Qual o valor do frete?",
        "Quanto custa a embalagem para presente?",
        "A entrega custa vinte reais na cidade e é grátis acima de trezentos.",
    ),
    Group(
        "O bolo tem leite?",
        "O bolo leva laticínios?",
        "O bolo tem castanhas?",
        "Nosso bolo é feito com manteiga, creme e ovos.",
    ),
    Group(
        "Vocês estão contratando?",
        "Tem vaga de emprego aí?",
        "Vocês estão vendendo a loja?",
        "Procuramos motoristas e caixas: mande o currículo para o gerente da filial.",
    ),
)
_SPANISH = (
    Group(
        "¿Cuánto tarda la entrega?",
        "Después de comprar, ¿cuándo llega mi pedido?",
        "¿Cuánto tarda la reparación?",
        "Los pedidos llegan en dos o tres días en la ciudad y en una semana en otras zonas.",
    ),
    Group(
        "¿Puedo devolver un producto que no me gusta?",
        "Cambié de idea, ¿aceptan devoluciones?",
        "¿Puedo cambiar el producto por otro color?",
        "La mercancía se puede devolver en dos semanas con el paquete cerrado. El dinero vuelve a su tarjeta.",
    ),
    Group(
        "¿Cómo puedo pagar?",
        "¿Qué formas de pago aceptan?",
        "¿A quién le pago?",
        "Aceptamos efectivo, tarjeta y transferencia.",
    ),
    Group(
        "¿Dónde está la tienda?",
        "¿Cuál es su dirección?",
        "¿Dónde está mi pedido?",
        "Estamos en la calle Mayor, al lado de la biblioteca central.",
    ),
    Group(
        "¿A qué hora abren?",
        "¿Cuál es el horario de atención?",
        "¿Cuándo abrieron la primera tienda?",
        "La tienda abre de nueve de la mañana a diez de la noche, y los viernes desde las cuatro.",
    ),
    Group(
        "¿Tiene garantía?",
        "¿Ese aparato viene con alguna garantía?",
        "¿Viene con cargador?",
        "Todos los aparatos tienen garantía de dos años contra defectos de fábrica.",
    ),
    Group(
        "¿Cómo reservo una cita?",
        "Quisiera apartar una hora, ¿cómo se hace?",
        "¿Cómo muevo mi cita?",
        "Escriba el día y la hora que prefiera y confirmamos su cita con un mensaje.",
    ),
    Group(
        "¿Cuánto cuesta el envío?",
        "¿Qué cobran por mandarlo?",
        "¿Cuánto cuesta envolverlo para regalo?",
        "El envío cuesta veinte pesos en la ciudad y es gratis desde trescientos.",
    ),
    Group(
        "¿El pastel lleva leche?",
        "¿La torta contiene lácteos?",
        "¿El pastel lleva nueces?",
        "Nuestro pastel se hace con mantequilla, crema y huevos.",
    ),
    Group(
        "¿Están contratando?",
        "¿Tienen vacantes de trabajo?",
        "¿Están vendiendo la tienda?",
        "Buscamos conductores y cajeros: mande su currículum al gerente de la sucursal.",
    ),
)
LANGUAGES = (_ENGLISH, _ARABIC, _PORTUGUESE, _SPANISH)

QUESTIONS: tuple[str, ...] = tuple(
    text for groups in LANGUAGES for group in groups for text in (group.question, group.same, group.other)
)
PASSAGES: tuple[str, ...] = tuple(group.passage for groups in LANGUAGES for group in groups)
CHARACTERS = sum(map(len, (*QUESTIONS, *PASSAGES)))
"""What it costs to measure a model: so many characters are turned into vectors, once."""
VERSION = hashlib.sha256(repr(LANGUAGES).encode()).hexdigest()[:8]
"""Other texts measure anew."""
