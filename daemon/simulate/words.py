"""What the customers of a rehearsal write: Arabic and Latin, short and long. Nothing that asks for a person."""

from __future__ import annotations

GREETINGS = (
    "Hello!",
    "السلام عليكم",
    "Good morning 👋",
    "مرحبا",
    "Bom dia!",
    "Hi, quick question",
    "مساء الخير 🌙",
    "Merhaba",
)
QUESTIONS = (
    "Are you open on Friday?",
    "كم سعر التوصيل إلى الرياض؟",
    "Do you have this in blue, size 42?",
    "هل يمكنني حجز موعد غدًا بعد العصر؟",
    "Quanto custa a limpeza completa?",
    "What time do you close today?",
    "عندكم فرع في جدة؟",
    "Wie lange dauert die Lieferung nach Wien?",
    "أريد طاولة لأربعة أشخاص يوم الخميس، الساعة 8:30 مساءً، إن كان ممكنًا",
    "I ordered the walnut shelf two weeks ago and was told it would be here by Tuesday; when will it come?",
    "¿Tienen envío gratis a partir de 50 €?",
    "هل السعر يشمل التركيب والضمان لمدة سنتين؟",
)
REMARKS = (
    "ok",
    "تمام",
    "the large one",
    "شكرًا جزيلًا",
    "and one more thing",
    "يعني اللون الأزرق 💙",
    "or is next week better",
    "لو سمحت",
    "👍",
    "sorry, I meant two of them",
    "عفوًا، قصدي يوم السبت",
    "for my mother",
)
INTERJECTIONS = (
    "oh wait",
    "لحظة من فضلك",
    "make that three",
    "أو الأفضل يوم الأحد؟",
    "also with delivery please",
)
CAPTIONS = ("like this one", "مثل هذا تمامًا", "is it still available?", "هذه صورة المقاس")
FILES = ("order.pdf", "قائمة الأسعار.pdf", "measurements.docx", "plan of the kitchen.pdf")
