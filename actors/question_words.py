"""Words that questions may have or not, and other words for the same thing: what `distinctions.py` may leave out.

A line is a thing and its words; `-` are words that say nothing of their own. Phrases are written with `_`. Words are as
`actors/text.py` normalises them. A word of no line is a name or a thing of its own, and that is the safe side: what
stands here can only let an answer be given more often.
"""

from __future__ import annotations

from collections.abc import Mapping

from actors.text import normalised

NOT, PRICE, QUANTITY, HAVE, WHAT = "not", "price", "how_much", "have", "what"

_UNITS = """
    kg: kg kgs kilo kilos kilogram kilograms quilo quilos quilograma quilogramas kilogramo kilogramos
    g: g gm gram grams grama gramas gramo gramos
    l: l liter litre liters litres litro litros
    sar: sar sr riyal riyals rial rials
    usd: usd dollar dollars dolar dolares
    eur: eur euro euros
"""
_ENGLISH = """
    -: the a an of is are be am does can could would will_you you they it its your please pls
    -: do_you do_u do_they i_am i_'m i_want i_wanna i_'d_like i_would_like i_like_to can_i_get can_i_have could_i_have
    -: can_i_know i_know may_i_know
    i: i we do_i do_we
    you: are_you r_u
    how i: how_to
    what: what which
    -: plz kindly hi
    -: hello hey good_morning good_evening good_afternoon thanks thank_you tell_me let_me_know
    -: give_me show_me
    -: know want wanna would_like like_to looking_for interested for to in on at so just there any
    -: some that
    -: the_shop your_shop the_store your_store these those about get how_about what_about question 's 're 'm 've 'd
    -: dear sir madam there_is
    not: not no without never none nor neither cannot nothing dont doesnt cant wont isnt arent didnt wasnt
    not: havent hasnt
    price: price prices pricing cost costs how_much_is how_much_are how_much_for how_much_does how_much_do
    price: how_much_would
    price: how_much_the how_much_'s
    how_much: how_much
    deliver: deliver delivers delivery deliveries delivering ship ships shipping
    open: open opens opening
    close: close closes closing closed
    when: when what_time at_what_time
    where: where location located address
    who: who
    why: why how_come
    have: have has do_you_sell available got is_there are_there in_stock
    sale: on_sale in_sale
    my: my our
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
    -: انتم انتو انت انا يا السلام_عليكم السلام_عليكم_ورحمه
    -: وعليكم_السلام مرحبا
    -: المحل محلكم المتجر متجركم اهلا هلا شكرا اذا_تكرمت ارجو هذا هذه الله_وبركاته ورحمه_الله سؤال استفسار اعرف
    -: حق تبع الي
    what: ما_هو ما_هي ماهو ماهي ايش شو وش اش شنو
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
    6: سته
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
    -: o a os as um uma de do da dos das em no na nos nas ser estao sao por para pra pro ao aos voces voce
    -: vcs vc
    i: eu
    what: qual quais que qual_e quais_e que_e
    -: seu sua isso gostaria_de gostaria queria quero poderia poderiam pode podem
    -: favor por_favor
    -: a_loja da_loja sua_loja ola oi bom_dia boa_tarde boa_noite obrigado obrigada saber me_diga
    not: nao nunca sem nem nenhum nenhuma jamais
    price: preco precos custa custam valor quanto_custa quanto_e quanto_fica quanto_sai quanto_custam
    how_much: quanto quantos quanta quantas
    deliver: entrega entregas entregam entregar envio enviam fazem_entrega fazem_entregas faz_entrega
    open: abre abrem aberto abertos aberta abertas abrir
    close: fecha fecham fechado fechados fechar
    when: quando que_horas a_que_horas que_hora quando_e
    my: meu minha meus minhas
    where: onde onde_e aonde endereco localizacao onde_fica onde_ficam
    who: quem quem_e
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
    -: el la los las un una de del al en es son esta estan por para a su sus usted ustedes
    what: que cual cuales
    -: quiero
    -: la_tienda su_tienda quisiera queria me_gustaria pueden puede puedes favor por_favor hola
    -: buenos_dias buenas_tardes buenas_noches
    -: buenas gracias saber lo le
    and: y
    or: o
    my: mi mis
    i: puedo se_puede
    not: no sin nunca ni ningun ninguna jamas tampoco
    price: precio precios cuesta cuestan costo coste cuanto_cuesta cuanto_cuestan cuanto_es cuanto_vale
    how_much: cuanto cuantos cuanta cuantas
    deliver: entrega entregas entregan entregar envio envios envian enviar hacen_envio hacen_envios hacen_entregas
    open: abre abren abierto abiertos abierta abiertas abrir
    close: cierra cierran cerrado cerrados cerrar
    when: cuando a_que_hora que_hora
    where: donde direccion ubicacion ubicados donde_estan
    who: quien
    why: por_que porque
    have: tienen tiene tienes hay venden vende disponible disponibles
    pay: pagar
    accept: acepta aceptan
    from: desde
    with: con
    before: antes
    after: despues
    until: hasta
    between: entre
    except: excepto salvo
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
_LETTERS_AFTER = """
    vitamin plan class grade type block gate hepatitis group team section option size terminal tower building blood
    plano classe clase tipo bloco bloque grupo hepatite vitamina tamanho talla opcao opcion torre
"""
NAMED_BY_A_LETTER = frozenset(_LETTERS_AFTER.split())
"""What has the next letter for a name: `vitamin a`."""
_PLURALS = """
    shorts glasses news customs goods arms means pants savings jeans contacts terms works spectacles apples visas
    windows shells oranges targets gaps looks brains manners spirits
"""
OTHER_IN_PLURAL = frozenset(_PLURALS.split())
"""Not only more of what the word says without its `s`: another thing, or a brand."""


def _words(listed: str) -> Mapping[str, str]:
    """Each word or phrase with its thing; empty: it says nothing."""
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, listed.splitlines())):
        thing, _, phrases = line.partition(":")
        for phrase in phrases.split():
            found["_".join(map(normalised, phrase.split("_")))] = "" if thing == "-" else thing
    return found


FOREIGN: Mapping[str, frozenset[str]] = {
    name: frozenset(map(normalised, listed.split()))
    for name, listed in {
        "fr": """le la les un une de du des et est en au aux je vous nous avez avec pour dans sur combien prix ou pas ne
            que qui quel quelle quand il elle ce c y a livraison ouvert votre mon ma mes bonjour merci""",
        "it": """il lo la i gli le un una di da in con su per e che non si quanto costa quando dove avete siete aperto
            aperti mio mia vostro ciao grazie sono del della al ha""",
        "tr": """var yok mi mu ne kadar bu su un bir ve icin ile nasil nerede zaman kac para lira fiyat fiyati fiyatlari
            merhaba selam de da en o siz sizin istiyorum tane""",
        "de": """der die das ein eine und ist sind es im in am an mit ohne ich sie wir haben habt was wie wo wann kostet
            viel offen geoffnet von nach fur bitte hallo man so""",
        "hi": """hai kya ka ki ke ko se me mein mera meri aap kab kahan kaise kitna kitne kitni teen ek nahi chahiye
            bhai ji kar ho hain wala""",
        "id": """ada apa berapa harga ini itu saya di ke dan yang untuk bisa tidak kak mau dari dengan jam buka kirim
            ya nya satu dua""",
        "nl": """de het een en is zijn van in op met zonder ik jullie hebben hoeveel kost wanneer waar open voor dat wat
            niet te""",
        "tl": """ang ng sa na mga po ba ko mo may meron magkano ito kayo saan kailan at si ay""",
        "sw": """ni na ya wa kwa bei gani je una mna iko wapi lini kiasi sana""",
        "ro": """este sunt de la in cu fara si un o cat costa aveti unde cand pentru pe va mi se nu""",
        "fa": """از است در به که این را با برای آن چند چه کجا کی دارید دارد قیمت لطفا سلام من ما شما تومان
            هست می آیا تا""",
        "ur": """کا کی کے ہے ہیں میں کیا کو سے پر نہیں آپ کب کہاں کتنا کتنے قیمت ایک یہ وہ اور""",
    }.items()
}
"""Frequent words of other languages, of which none is left out: some are words of ours that say nothing, as `su`, which
is water in one language and yours in another."""

LANGUAGES: Mapping[str, Mapping[str, str]] = {
    "en": _words(_UNITS + _ENGLISH),
    "ar": _words(_UNITS + _ARABIC),
    "pt": _words(_UNITS + _PORTUGUESE),
    "es": _words(_UNITS + _SPANISH),
}
"""In doubt the first one."""
