"""Words that questions may have or not, and other words for the same thing: what `distinctions.py` may leave out.

A line is a thing and its words; `-` are words that say nothing of their own. Phrases are written with `_`. Words are as
`actors/text.py` normalises them. A word of no line is a name or a thing of its own, and that is the safe side: what
stands here can only let an answer be given more often.
"""

from __future__ import annotations

from collections.abc import Mapping

from actors.text import normalised

NOT, PRICE, QUANTITY, HAVE = "not", "price", "how_much", "have"

_UNITS = """
    kg: kg kgs kilo kilos kilogram kilograms quilo quilos quilograma quilogramas kilogramo kilogramos
    g: g gm gram grams grama gramas gramo gramos
    l: l liter litre liters litres litro litros
    sar: sar sr riyal riyals rial rials
    usd: usd dollar dollars dolar dolares
    eur: eur euro euros
"""
_ENGLISH = """
    -: the a an of is are be am do does can could would will_you i you we they it its my your our please pls
    -: plz kindly hi
    -: hello hey good_morning good_evening good_afternoon thanks thank_you what which tell_me let_me_know
    -: give_me show_me
    -: know want wanna would_like i_d_like like_to looking_for interested for to in on at and so just there any
    -: some that
    -: the_shop your_shop the_store your_store these those s re m ve d about get how_about what_about question
    -: dear sir madam there_is
    not: not no without never none nor neither cannot nothing dont doesnt cant wont isnt arent didnt wasnt
    not: havent hasnt
    price: price prices pricing cost costs how_much_is how_much_are how_much_for how_much_does how_much_do
    price: how_much_would
    price: how_much_the how_much_s
    how_much: how_much
    deliver: deliver delivers delivery deliveries delivering ship ships shipping
    open: open opens opening
    close: close closes closing closed
    when: when what_time at_what_time
    where: where location located address
    who: who
    why: why how_come
    have: have has sell sells available got is_there are_there in_stock
    pay: pay paying payment payments
    accept: accept accepts accepting
    from: from
    than: than
    with: with
    or: or
    before: before
    after: after
    until: until till
    between: between
    instead: instead
    except: except excluding
    but: but
    if: if
    1: one
    2: two
    3: three
    4: four
    5: five
    6: six
    7: seven
    8: eight
    9: nine
    10: ten
    11: eleven
    12: twelve dozen
    monday: monday mondays mon
    tuesday: tuesday tuesdays tue tues
    wednesday: wednesday wednesdays wed
    thursday: thursday thursdays thu thur thurs
    friday: friday fridays fri
    saturday: saturday saturdays sat
    sunday: sunday sundays
    tomorrow: tomorrow tmrw tmr
    %: percent
"""
_ARABIC = """
    -: هل لو_سمحت لو_سمحتي لو_سمحتم من_فضلك من_فضلكم ممكن ابي ابغي ابغا اريد عايز عايزه عاوز بدي حاب حابه ودي
    -: عن في هو هي
    -: ما_هو ما_هي ماهو ماهي ايش شو وش اش شنو انتم انتو انت انا يا السلام_عليكم السلام_عليكم_ورحمه
    -: وعليكم_السلام مرحبا
    -: المحل محلكم المتجر متجركم اهلا هلا شكرا اذا_تكرمت ارجو هذا هذه الله_وبركاته ورحمه_الله سؤال استفسار اعرف
    -: حق تبع الي
    not: لا ليس ليست ليسوا مش مو مب موب مهو ما لم لن ولا بدون بلا دون من_غير من_دون غير مافي
    price: سعر اسعار سعره سعرها اسعاركم بكم بكام بقديش قديش كم_سعر كم_السعر تكلفه ثمن يكلف تكلف
    how_much: كم
    deliver: توصيل توصلون توصلوا توصلو بتوصلو بتوصلوا شحن تشحنون تشحنوا توصيلكم
    open: مفتوح مفتوحين تفتحون تفتحوا تفتحو بتفتحوا بتفتحو فاتحين فاتح يفتح تفتح
    close: مغلق مسكر مسكرين مقفل مقفلين تقفلون تقفلوا بتقفلوا تسكرون تسكروا تغلقون تغلقوا
    when: متي امتي ايمتي اي_ساعه الساعه_كم كم_الساعه اي_وقت
    where: وين فين اين وينكم فينكم موقعكم عنوانكم
    who: مين منو
    why: ليش ليه لماذا
    have: فيه عندكم عندك لديكم متوفر متوفره موجود موجوده يوجد توجد متاح متاحه تبيعون تبيعوا في_عندكم
    from: من
    with: مع
    or: او
    before: قبل
    after: بعد
    until: حتي لحد لغايه لين
    between: بين
    except: الا عدا ماعدا
    but: لكن بس
    if: اذا لو
    1: واحد واحده
    2: اثنين اثنان اثنتين ثنين اتنين
    3: ثلاث ثلاثه تلات تلاته
    4: اربع اربعه
    5: خمس خمسه
    6: ست سته
    7: سبع سبعه
    8: ثمان ثماني ثمانيه تمانيه
    9: تسع تسعه
    10: عشر عشره
    monday: يوم_الاثنين يوم_الاتنين
    tuesday: يوم_الثلاثاء يوم_الثلاثا يوم_التلات الثلاثاء الثلاثا
    wednesday: يوم_الاربعاء يوم_الاربعا الاربعاء الاربعا
    thursday: يوم_الخميس الخميس
    friday: يوم_الجمعه الجمعه
    saturday: يوم_السبت السبت
    sunday: يوم_الاحد الاحد
    today: اليوم النهارده النهارده
    tomorrow: غدا غد بكره بكرا بكرة
    kg: كيلو كيلوغرام كيلوجرام كجم كغ كغم
    g: جرام غرام جم غم
    l: لتر ليتر
    sar: ريال ريالات
    usd: دولار دولارات
    %: بالميه بالمئه بالمييه
"""
_PORTUGUESE = """
    -: o a os as um uma de do da dos das em no na nos nas e ser estao sao por para pra pro ao aos voces voce
    -: vcs vc eu
    -: meu minha seu sua qual quais que isso gostaria_de gostaria queria quero poderia poderiam pode podem
    -: favor por_favor
    -: a_loja da_loja sua_loja ola oi bom_dia boa_tarde boa_noite obrigado obrigada saber me_diga
    not: nao nunca sem nem nenhum nenhuma jamais
    price: preco precos custa custam valor quanto_custa quanto_e quanto_fica quanto_sai quanto_custam
    how_much: quanto quantos quanta quantas
    deliver: entrega entregas entregam entregar envio enviam fazem_entrega fazem_entregas faz_entrega
    open: abre abrem aberto abertos aberta abertas abrir
    close: fecha fecham fechado fechados fechar
    when: quando que_horas a_que_horas que_hora
    where: onde aonde endereco localizacao onde_fica onde_ficam
    who: quem
    why: por_que porque
    have: tem ha vendem vende disponivel disponiveis existe
    pay: pagar pagamento pagamentos
    accept: aceita aceitam
    from: desde
    than: do_que
    with: com
    or: ou
    before: antes
    after: depois apos
    until: ate
    between: entre
    except: exceto
    but: mas
    if: se
    2: dois duas
    3: tres
    4: quatro
    5: cinco
    6: seis
    7: sete
    8: oito
    9: nove
    10: dez
    11: onze
    12: doze duzia
    monday: segunda segunda_feira
    tuesday: terca terca_feira
    wednesday: quarta quarta_feira
    thursday: quinta quinta_feira
    friday: sexta sexta_feira
"""
_SPANISH = """
    -: el la los las un una de del al en y es son esta estan por para a su sus mi usted ustedes tu yo que cual
    -: cuales quiero
    -: la_tienda su_tienda quisiera queria me_gustaria puedo pueden puede puedes favor por_favor hola
    -: buenos_dias buenas_tardes buenas_noches
    -: buenas gracias saber lo le se o
    not: no sin nunca ni ningun ninguna jamas tampoco
    price: precio precios cuesta cuestan vale valen costo coste cuanto_cuesta cuanto_cuestan cuanto_es cuanto_vale
    how_much: cuanto cuantos cuanta cuantas
    deliver: entrega entregas entregan entregar envio envios envian enviar hacen_envio hacen_envios hacen_entregas
    open: abre abren abierto abiertos abierta abiertas abrir
    close: cierra cierran cerrado cerrados cerrar
    when: cuando a_que_hora que_hora
    where: donde direccion ubicacion ubicados donde_estan
    who: quien
    why: por_que porque
    have: tienen tiene tienes hay venden vende disponible disponibles
    pay: pagar pago pagos
    accept: acepta aceptan
    from: desde
    with: con
    before: antes
    after: despues
    until: hasta
    between: entre
    except: excepto salvo menos
    but: pero
    if: si
    2: dos
    3: tres
    4: cuatro
    5: cinco
    6: seis
    7: siete
    8: ocho
    9: nueve
    10: diez
    11: once
    12: doce docena
"""

FREE = frozenset({PRICE, QUANTITY, "deliver", "open", "close", "when", "where", "who", "why", HAVE, "pay"})
"""Things that may stand anywhere in a question."""
RELATING = frozenset(
    {
        NOT,
        "from",
        "than",
        "with",
        "or",
        "before",
        "after",
        "until",
        "between",
        "instead",
        "except",
        "but",
        "if",
    }
)
"""Where one of these is, everything stays in its place."""


def _words(listed: str) -> Mapping[str, str]:
    """Each word or phrase with its thing; empty: it says nothing."""
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, listed.splitlines())):
        thing, _, phrases = line.partition(":")
        for phrase in phrases.split():
            found["_".join(map(normalised, phrase.split("_")))] = "" if thing == "-" else thing
    return found


LANGUAGES: Mapping[str, Mapping[str, str]] = {
    "en": _words(_UNITS + _ENGLISH),
    "ar": _words(_UNITS + _ARABIC),
    "pt": _words(_UNITS + _PORTUGUESE),
    "es": _words(_UNITS + _SPANISH),
}
"""In doubt the first one."""
