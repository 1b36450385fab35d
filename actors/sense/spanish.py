"""What is said in Spanish, on both sides of the ocean. The notation is that of `patterns.py`."""

from __future__ import annotations

from actors.sense.lists import Lists, Topic

DENIALS = "no sin ni nunca jamas tampoco ningun{,a,o,as,os} nadie nada"

CLASSES = {
    "flaw": """
        rasguno{,s} defecto{,s} falla{,s} error{,es} retraso{,s} demora{,s} dano{,s} golpe{,s} detalle{,s}
        contratiempo{,s} lio{,s}
    """,
    "strong": """
        rot{o,a,os,as} dana{do,da,dos,das} quebrad{o,a,os,as} defectuos{o,a,os,as} incomplet{o,a,os,as}
        podrid{o,a,os,as} vencid{o,a,os,as} caducad{o,a,os,as} malograd{o,a,os,as} averiad{o,a,os,as}
        descompuest{o,a,os,as} estropead{o,a,os,as} rajad{o,a} asqueros{o,a,os,as} agri{o,a} echad{o,a}
        errone{o,a}
    """,
    "got": """
        lleg{o,aron,a,an} vino vinieron recib{i,imos,io} entreg{aron,o} mand{aron,o} envi{aron,o} trajeron
        trajo vendieron sali{o,eron} venia{,n} dieron
    """,
    "no": "jamas no sin ni nunca tampoco ningun{,a,o,as,os}",
    "passed": """
        solo sola unico unica ni con nosotros ustedes en todo ha habido habia ningun{,a,o,as,os} un una el la
        los las hay hubo habia habra tengo tiene tenemos tienen tuve tuvimos tenido he ha hemos es era fue ha
        sido algun{,a} mayor mas otro otra otros otras me le te se nos da dio hace grave de que problemas
    """,
    "trouble": """
        problema{,s} problemita{,s} proble{,m} inconveniente{,s} queja{,s} reclamo{,s} reclamacion{,es} drama
    """,
    "person": """
        persona humano humana alguien asesor{,a,es} agente{,s} representante{,s} operador{,a} encargad{o,a}
        gerente jefe jefa duen{o,a} supervisor{,a} ejecutiv{o,a} vendedor{,a} empleado empleada director{,a}
        responsable administrador{,a} atencion soporte ventas vendedores servicio_al_cliente
        atencion_al_cliente recepcion secretaria especialista tecnico cliente
    """,
    "a": """
        un una el la los las algun{,a} su tu otro otra de del al ser verdadero verdadera servicio area
        departamento equipo alguien persona personal senor senora
    """,
    "talk": """
        tratarlo verlo negociarlo platicarlo hablarlo hablar platicar conversar comunicarme comunicarnos
        charlar contactar contactarme ablar hablarle tratar
    """,
    "with": "con kon c a al",
    "bot": """
        bot bots robot robots maquina{,s} chatbot automatico automatica contestadora ia inteligencia grabacion
    """,
    "now": "por porfa porfavor porfis pls urgente ya ahora rapido gracias # !! al a hoy favor alguien plis x",
    "thing": """
        carne pollo pescado arroz mariscos sushi tacos cafe torta ensalada bebida bebidas pedido paquete
        producto{,s} articulo caja comida orden envio telefono celular pantalla vestido zapatos camisa pizza
        hamburguesa pastel torta aparato maquina equipo compra mercancia flores prenda ropa habitacion botella
    """,
    "came": """
        lleg{o,aron,a,an} vino vinieron viene vienen recib{i,imos,io} entreg{aron,o} mand{aron,o} envi{aron,o}
        trajeron trajo dieron dio vendieron sali{o,eron} estaba estaban esta estan est{a,an} ha quedo tengo
    """,
    "bad": """
        rot{o,a,os,as} dana{do,da,dos,das} quebrad{o,a,os,as} defectuos{o,a,os,as} incomplet{o,a,os,as}
        equivocad{o,a,os,as} fri{o,a,os,as} derramad{o,a,os,as} podrid{o,a,os,as} vencid{o,a,os,as}
        caducad{o,a,os,as} malograd{o,a,os,as} golpead{o,a,os,as} rayad{o,a,os,as} abiert{o,a,os,as}
        usad{o,a,os,as} manchad{o,a,os,as} crud{o,a,os,as} quemad{o,a,os,as} aplastad{o,a,os,as}
        averiad{o,a,os,as} descompuest{o,a,os,as} reventad{o,a,os,as} estropead{o,a,os,as} mojad{o,a,os,as}
        vaci{o,a,os,as} sucio sucia mal fals{o,a,os,as} tarde errone{o,a,os,as} errad{o,a} malas
        cambiad{o,a,os,as} distint{o,a,os,as} rajad{o,a} fallad{o,a,os,as} fea feo asqueros{o,a} despegad{o,a}
        desinflad{o,a} pasad{o,a} agri{o,a} echad{o,a}
    """,
    "n": "# un una dos tres cuatro cinco varias varios media unas unos casi mas",
    "time": "hora{,s} dia{,s} semana{,s} mes meses minuto{,s} min ano anos",
    "account": "cuenta tarjeta linea perfil usuario numero",
    "adv": """
        todo toda todos muy bien medio super completamente tan mas ya re bastante demasiado totalmente siempre
        el la un una mi me mis otra vez producto pedido
    """,
    "awful": """
        pesim{o,a,os,as} horrible{,s} malisim{o,a,os,as} fatal{,es} terrible{,s} asc{o,o} mal{o,a,os} mal
        nefast{o,a} deplorable lamentable verguenza desastre porqueria basura mierda
    """,
    "service": """
        servicio atencion experiencia comida calidad producto restaurante empresa tienda trato lugar entrega
        atendido
    """,
    "fixed": """
        resuelt{o,a,os,as} solucionad{o,a,os,as} arreglad{o,a,os,as} resolvi{o,eron} soluciono solucione
        arreglo arreglaron solucionaron resolvimos resolvi listo
    """,
}

HUMAN = """
    quiero/quisiera/necesito/puedo/podria .. platicar/conversar con el/la/los/las/mi/su
    esta el/la dueno/duena/gerente/encargado/encargada/jefe $ ?
    esta el/la dueno/duena $
    me .. llam{as,a,en} .. cuando/apenas/si puedas/pueda/puedan/tengas
    me .. transfier{e,en,as}/pasas/comunicas/deriva{,n} $/@now
    @person me .. llam{e,a,ar}/respond{a,e}/atiend{a,e}/contact{e,a}
    dejame/dejenme/dejeme habl{ar}
    me das/pasas/dan/das .. numero/telefono/contacto .. @person/hablar
    cual .. numero/telefono/contacto .. para/del/de/al .. hablar/llamar/@person/marcar
    como .. hablo/hago/puedo/consigo .. hablar/comunicarme/contactar con
    como .. me comunico/contacto/hablo .. con
    alguien .. disponible/ahi/aqui/real
    alguien del/de equipo/soporte/tienda/ventas
    agente/asesor/humano/persona ahora
    quiero/quisiera/necesito/puedo/ocupo/urge/prefiero/podria .. habl{ar,e}/platicar $
    quiero/quisiera/necesito/puedo/ocupo/urge/prefiero/podria .. habl{ar,e}/platicar @now
    @talk .. @with .. @person
    @talk .. por/via telefono/llamada/telefonicamente
    ocupo/urge/necesito/quiero/requiero .. ayuda $
    ocupo/urge/requiero/busco .. alguien/asesor{,a}/agente/persona/humano/gerente/encargado
    ^ con .. @person @now/$
    llam{en,a,e,ar} .. al .. encargado/gerente/supervisor/dueno/responsable
    atiend{an,e,a,eme,anme} .. me? alguien/persona/humano
    atiend{eme,anme} @now
    me .. atiend{a,e,an,en} .. alguien/persona/humano/@now
    pued{e,en,es}/podria{,n,s}/pueden .. me? comunic{ar,arme,an,as}/contact{ar,arme}/marcar{,me}
    me comunic{a,as,an,ar,an} .. con
    hay alguien/humano/asesor/agente
    numero/telefono/contacto .. de/del/para .. @person/hablar/comunicarme
    donde .. esta .. encargado/gerente/asesor/dueno
    asesor{,a}/agente/humano/persona .. por/porfa/urgente/!!/pls
    puedo/podria hablar
    hacer .. una? llamada
    agend{ar,en} .. llamada
    hablar/platicar con @a* gente/personas/humanos
    quiero/quisiera/necesito/puedo/prefiero/podria/deja/dejame/dejeme .. habl{ar,e} con el/la/los/las/algun/
        alguna/su/tu/dr/dra
    quiero/necesito/quisiera/exijo ... .. gerente/supervisor/dueno/duena/encargado/encargada
    con el/la? gerente/supervisor/dueno/duena/encargado
    quien es el/la dueno/duena/gerente/encargado/encargada $
    pasame/pasenme/paseme/dame/deme/tiene/numero/telefono .. telefono/numero/contacto? .. gerente/encargado/
        dueno/supervisor/asesor
    devolver/devuelvan/regresar/regresen .. llamada
    alguien .. me .. marca/llama/marque/llame/contacta/escriba
    pued{e,es,en}/podria{,s,n}/podes/alguien .. ayudar{me} $
    me pued{e,es,en}/podria{,s,n}/podes ayudar $
    me pued{e,es,en}/podria{,s,n}/podes ayudar @now
    agente/asesor/asesora/representante/operador/operadora
    ^ humano/persona/encargado/gerente/ejecutivo/supervisor/soporte @now?
    soporte tecnico/humano
    servicio_al_cliente
    atencion_al_cliente
    atencion humana/personalizada
    ayuda/ayudeme/ayudame/auxilio/ayudenme $
    ayuda/ayudeme/ayudame/ayudenme @now
    ^ ayuda/ayudame/ayudeme/ayudenme
    necesito/quiero/requiero/pido ayuda $
    necesito/quiero/requiero/pido ayuda @now
    necesito/quiero que me ayude{,n,s} $
    alguien .. ayud{arme,e,a,eme,ame,arnos}
    socorro
    @talk @with @a* @person
    @talk @with usted{,es} directamente/por
    @talk con el/la? duena/dueno/duenos/senor/senora
    habl{o,a,e} con @a* @person $
    con quien puedo/hablo/podria/debo .. hablar/comunicarme/$
    @with quien .. hablar/comunicarme
    contactar{,me} .. con @a* @person
    contacto con @a* @person
    quiero/necesito/quisiera/busco/prefiero/deme/dame/pongame/ponme un/una/el/la/al/con/a/con @a* @person
    !quiero/necesito/quisiera persona/humano
    persona/humano/alguien real/verdadero/verdadera/humano/humana
    ser humano
    alguien .. humano/real
    persona/alguien de verdad
    pasame/paseme/pasenme/pasarme/pasar/pasa/comuniqueme/comunicame/comunicarme/comuniquenme/conectame/
        conecteme/conectarme/transfiereme/transfierame/transferirme/transfieranme/derivame/deriveme/derivarme/
        ponme/poneme/pongame/paso/comunicar/transferir/pasas/pasan con/a/al/para .. @a* @person
    me .. pasa{,s,n,r}/comunica{,s,n,r}/transfiere{,s,n}/deriva{,s,n,r}/conecta{,s,n,r}/transferir/pones/ponen/
        pone/poner con/a/al/para @a* @person
    me .. llam{ar,a,an,as,e,en}/llamada/marcar/marca/marcan/marques/hablen $
    me pued{e,en,es}/podri{a,an,as}/puede .. llamar/marcar/contactar/hablar/atender/telefonear
    me .. llam{ar,a,an,as,en,es,e}/marcar/marca/marcan @now/cuando
    puede{,n,s}/podria{,n,s}/favor/porfa/necesito/quiero/urgente/ya .. llamarme/contactarme/marcarme/atenderme/
        llamarnos/contactarnos/comunicarse
    ^ porfa? llamame/llamenme/llameme/marcame/marquenme/llama/contactenme/contacteme/comuniquense
    llamame/llamenme/llameme/marcame/marquenme/contactenme/contacteme/comuniquense/llamarme/marquenme/llamadme
        @now/$/conmigo/para/con
    alguien/persona/asesor/asesora/ejecutivo/ejecutiva/agente/gerente/encargado/encargada/vendedor/vendedora/
        humano .. me/se .. llam{e,en,a,ar}/atienda/atiende/atender/contact{e,ar,a}/respond{a,e,er}/
        contest{e,a,ar}/comuni{que,ca,car}/ayud{e,a,ar}/asesor{e,a}/explique/hable/escriba/marque/resuelva
    me .. llame/atienda/contacte/responda/conteste/ayude/asesore/explique/hable .. alguien/persona/asesor/
        humano/gerente/encargado/ejecutivo
    alguien/asesor/persona/gerente/encargado .. llamarme/atenderme/contactarme/responderme/contestarme/ayudarme/
        comunicarse/conmigo
    que me llame{,n}/atienda/contacten/contacte/marquen/llamen
    quiero/necesito/quisiera/prefiero/espero/solicito .. llamada/atencion .. humana/telefonica/de/$/por
    solicito una? llamada
    hay/esta/existe/ay alguien/humano/persona/humanos $
    hay/esta alguien/humano/persona/humanos/una .. ahi/real/disponible/atendiendo/persona/humano/verdad
    eres/es/son una? persona/humano real/verdadera/de/o
"""

INSISTED = """
    no/basta/dejen/harto/harta/cansado/cansada/odio .. @bot
    @no .. quiero/hablar .. @bot
    en vez de .. @bot
    que no sea .. @bot
    @no con/a? @a* @bot
    nadie humano
"""

DEMANDS = """
    devolvieron/reembolsaron/reintegraron/regresaron .. solo/mitad/parte/apenas
    llamar/ir/voy/vamos/denuncia/con/reportar/a .. la policia
    defensa/proteccion/derecho{s,}/codigo/oficina/procuraduria .. consumidor
    vomit{o,ando,e,amos,aron}/diarrea .. .. comida/comer/comimos/despues/restaurante/su/pollo/pescado
    poner/interponer/pongo/meter/presentar/recibir .. demanda
    ^ demanda $
    quejarme/quejo/reclamacion{,es}/reclamar/denuncia{,r,s,re}/demand{ar,arlos,are,arte}/demandare
    abogad{o,a,os,as}/legal{,es,mente}/juridico/juicio/tribunal/fiscalia
    suprema corte
    ir a corte
    profeco/indecopi/sernac/condusef/ocu/facua/omic
    reembols{o,os,ar,en,e,arme,aron,enme}/reintegro/reintegr{en,ar,arme}
    devolucion{,es} .. dinero/plata/pago/importe/importe/lana/pedido/producto/compra
    pedir/quiero/solicito/solicitar/hacer/exijo .. devolucion
    devuelv{an,eme,anme,e,en,a}/devolver{,me,an,lo}/devolvieron/regresen/regresar{,me,an}/regresenme/retornen/
        devuelvame .. dinero/plata/pago/lana/importe/feria/monto
    dinero/plata/lana .. devuelv{an,a,en}/devolver{,me}/regresen/regresar/vuelta/devuelto/devuelta
    quiero/necesito/exijo/dame/denme/donde .. mi dinero/plata/lana/pago
    compensacion{,es}/indemnizacion/compensen/compensan
    disputa{,r,s}/contracargo
    cobr{aron,o,ado,an,ando,aste,aban} .. # veces
    # veces .. cobr{o,aron,ado}/cargo/tarjeta/pago
    cobr{aron,o,ado,an,ando,aste,os}/cargo{,s}/descontaron/debit{aron,o,ado}/descuento/pague .. doble/demas/
        indebido/indebidamente/repetid{o,a}/duplicad{o,a}/mas/mal/extra/incorrecto/otra/equivocado/desconocido/
        error/sin/siguen/seguir
    de mas .. cobr{aron,o,an}/cobrar
    cobran/cobraron/cobro/cobrado .. algo/cosa/cosas/servicio que/sin/q
    doble/dobles/mal cobro/cargo
    @no reconozco/autorice/hice/pedi .. cargo{,s}/cobro{,s}/compra/pago/transaccion
    cargo{,s}/cobro{,s} .. en/de mi? tarjeta/cuenta/banco
    cargo/cobro/pago .. @no .. reconozco/autorice/hice
    me cobraron/descontaron/debitaron/sacaron/quitaron
    sacaron/quitaron/desaparecio/retiraron .. dinero/plata/cuenta
    factura/cuenta/cobro/recibo/total/monto .. mal/equivocad{a,o}/incorrect{a,o}/error/errores/mas
    error/errores en la/mi/el/una? factura/cuenta/cobro/recibo
    me estan/siguen cobrando/robando
    estaf{a,ador,adores,aron,ado,ada,an,as,adora}/fraude{,s}/fraudulent{o,a}/robo/roban/robaron/ladron{,es}/
        rateros/ratas/engan{aron,ados,ado,osa,an}/mentiros{o,os,a,as}/timo/timad{o,a}/sinverguenza{,s}/
        tranza{,s}
    intoxic{acion,ado,ada,ados,amos,aron,o,adas}/envenen{aron,ado}
    enferm{amos,aron,e,o,aste} ... com{er,ida,imos}/ayer/anoche/con/por/despues
    nos enfermamos
    hizo/cayo/hicieron .. mal/dano .. comida/comer/pollo/pizza/estomago
    me/nos/le .. sent{o,i,imos}/hizo/cayo/puse/puso/pusimos mal .. comida/comer/comi/comimos/pollo/pescado/
        despues/su/la
    pelo/cabello/insecto/cucaracha/gusano{,s}/mosca/vidrio/plastico/moho/bicho .. en .. comida/sopa/ensalada/
        pizza/plato/mi/la/hamburguesa/tacos/pan
    encontr{e,amos,o} ... pelo/cabello/insecto/cucaracha/gusano{,s}/mosca/vidrio/moho/bicho
    reacci{on,o} alergica
    voy/vamos/les/los .. denunciar{,los,les}/reportar{,los}/demandar{,los}/acusar{,los}/poner/publicar/
        quemar{,los}
"""

TROUBLES = """
    con/tiene/tenia/trae un/una agujero/hueco/rasgadura/mancha/grieta/rajadura/hoyo/roto en
    funcion{o,aron}/dur{o,aron} .. dia{,s}/semana{,s}/hora{,s}/mes .. murio/paro/rompio/apago/dano/descompuso
    repartidor/mensajero/chofer/emplead{o,a}/gerente/vendedor{,a}/mesero/mesera/cajera/cajero .. grit{o,ando}/
        insult{o,ando}/
        amenaz{o,ando}
    cierre/cremallera/boton/correa/suela/tacon/tapa/rueda/asa .. salio/cayo/despego/rompio/solto
    estoy/muy/sumamente/bastante/tan .. molest{o,a}
    molestisim{o,a}
    me/nos/que .. trat{o,aron} .. mal
    deja de funcionar
    @got con el/la/un/una/los/las .. @bad
    gotea/chorrea/filtra/goteando/gotera{,s}/humedad .. por/en/todo/toda/pared/techo/agua/desde/$
    hay/habia/encontr{e,amos}/tiene/vi .. chinches/cucaracha{,s}/ratas/ratones/hormigas/gusanos/bichos .. cama/
        cuarto/habitacion/comida/colchon/restaurante/bano/plato
    se apaga/reinicia/traba/cuelga/descarga/desconecta .. sol{o,a}
    @no .. cuadra/coincide{,n}
    pas{aron,o} .. tarjeta .. # veces
    inund{o,aron,ado,ada}
    queja{,s}/reclamo{,s}
    promet{ieron,io} .. @time/@no/ayer/que/y
    tercera/segunda/cuarta/quinta/# vez/veces que .. @no/pido/escribo/llamo/pasa/reclamo/sucede/pregunto/marco/
        insisto/equivocan
    & ^ .. mand{aron,o}/falto/olvidaron
    me/nos/le lastim{o,aron}/hirio/quemo/quemaron
    inflamad{o,a}/infect{ado,ada}/hinchad{o,a} .. despues/desde/por/culpa
    & ^ ahora .. inflamad{o,a}/infect{ado,ada}/hinchad{o,a}
    llevo/llevamos/lleva .. # @time .. esperando/sin/y/$
    van/pasaron .. # @time .. y/sin/desde/$
    @got .. que @no es/era
    quedaron/quedo de venir/llamar/entregar/traer/enviar/mandar/pasar
    quedaron de
    @no .. regresado/devuelto/reembolsado/reintegrado/devuelven/regresan
    sali{o,eron}/dio/causo/provoco .. alergia/roncha{,s}/sarpullido/irritacion/ardor/quemadura{,s}
    era para ayer/anoche/antier
    @no .. esta/estan/estaba list{o,a,os,as} .. @thing
    @thing .. @no esta/estan/estaba list{o,a,os,as}
    @no .. esta list{o,a} .. el/la/mi
    destin{o,eron}/encogi{o,eron}/descosi{o,eron}/despint{o,aron}/despeg{o,aron}/rasg{o,aron}
    cobraron .. envio/mas/extra/algo/comision/multa
    @got .. sin el/la/los/las/ningun
    dej{aron,o} .. esperando
    error al/en/de .. pagar/pago/pagina/app/iniciar/sistema
    sale/marca/da/aparece .. error
    olvidaron/olvidan
    se .. olvidaron
    cuantas veces ... preguntar/decir/escribir/llamar/pedir/repetir/insistir/!!
    ped{i,imos}/compr{e,amos}/pague/encargue/ordene ... y me/nos? mand{aron,o}/vino/trajeron/entregaron/enviaron
    rompi{o,eron}/arruin{o,aron}/dan{o,aron}/estrope{o,aron}/mancho/mancharon/rayo/rayaron/perd{io,ieron}/
        quem{o,aron} .. mi/mis/nuestro/nuestra/la/el/se
    se .. arruin{o,aron}/dano/estropeo/malogro
    por que/q .. hay/sale/aparece/cobran/viene/vino .. .. factura/cuenta/tarjeta/recibo/estado
    de mas .. en .. cuenta/factura/recibo/tarjeta
    esperamos @n @time por/para/y/en
    esperando .. .. @n @time
    compra{,s}/cargo{,s}/transaccion/retiro .. @no .. autorizad{a,o,os,as}/reconocid{a,o}/hice
    @no .. parece{,n} .. nada
    trat{o,aron} .. mal
    suci{o,a,os,as}/apest{a,aba,oso}/hediondo .. y/$/todo/estaba
    ol{ia,ian,e} .. mal/feo/horrible/podrido
    dice/aparece/marca/sale .. entregado .. @no/nada/y/pero
    dice/aparece/marca/sale .. entregado
    sin mi autorizacion/permiso/consentimiento
    falt{a,an,o,aron} .. la? mitad
    doble cobro/cargo
    cobro{,s}/cargo{,s} doble{,s}
    suscripcion .. cancele
    se fue .. internet/luz/senal/agua
    problema{,s}/problemita/problemon/inconveniente{,s}
    @got @adv* @bad
    @came @adv* @strong
    @got con defecto{,s}/falla{,s}/fallo/agujero{,s}/manchas/golpes/moho/error/retraso
    @thing .. @got .. @bad
    @thing .. @came .. @strong
    @thing esta/estan/estaba/estaban/es/era/viene/son .. @strong/defectuoso
    comida/pizza/carne/pollo/pescado/arroz/hamburguesa/sushi/tacos/mariscos/ensalada estaba{,n}/vino/llego/
        venia .. @bad
    falla/fallas/defecto/averia/fallando/fallo
    se me? rompi{o,eron}/quebr{o,aron}/dan{o,aron}/descompuso/descosio/danio/malogro/rajo/despego/desarmo/cayo/
        apago/quemo/cayeron
    dej{o,aron} de funcionar/andar/servir/cargar/prender
    @no .. funciona{,n,ba}/sirve{,n}/prende{,n}/enciende{,n}/carga/anda/jala/arranca/conecta/enfria/calienta/
        corta/imprime
    falt{a,an,aron,aba,o,aban} .. producto{,s}/articulo{,s}/cosa{,s}/pieza{,s}/item{,s}/caja/bebida/bebidas/
        papas/parte
    falt{aron,aban,o} .. #/un/una
    me/nos/le/les falt{an,aron,aba,o,aban} .. @n/producto{,s}/articulo{,s}/pieza{,s}/cosas/parte/bebida/mitad
    @got sin/# .. bebida/papas/salsa/#/pieza/accesorios/cargador/tornillos/instrucciones/cubiertos/menos
    equivocad{o,a,os,as}/erronea/erroneo
    @got .. otra/otro/diferente/diferentes/distint{o,a} .. color/talla/cosa/producto/modelo/pedido/sabor/tamano
    mand{aron,o}/envi{aron,o}/entreg{aron,o}/trajeron/recibi/dieron .. mal/diferente/equivocad{o,a}/errone{o,a}
    @no .. lo que/q .. ped{i,imos,ido}/compr{e,amos}/orden{e,amos}/pague/encargue
    @no .. lleg{ado,aron,ando}
    @no .. llego .. pedido/paquete/envio/nada/todavia/aun/mi/el/la/!!/tecnico/repartidor
    @thing/tecnico/repartidor/mensajero .. @no .. lleg{a,o,an}
    @no .. recib{o,i,imos,ido}/entreg{aron,ado}/apareci{o,do}/vino
    @no .. ha/han/haya/hayan/he/hemos llegado/recibido/entregado/salido/enviado/mandado/actualizado
    @no/sin .. entregar/recibir .. pedido/paquete/producto
    sin .. recibir/noticias/respuesta/solucion
    todavia/aun/sigue/sigo/siguen/seguimos .. @no .. lleg{a,o,an}/nada
    todavia/aun/sigo/seguimos/llevo/llevamos .. esperando
    sigo/seguimos/sigue sin/esperando
    llevo/llevamos/lleva/tengo/hace/van/desde/tenemos/pasaron/pasado .. # @time .. esperando/atrasad{o,a}/
        retras{o,ada,ado}/@no/espero/y/sin/!!
    hace/llevo/desde/despues .. @time .. y/que/q .. nada/@no/ni
    # @time .. esperando/atrasad{o,a}/retras{o,ado,ada}/tarde/demora
    @thing .. retras{ado,o,ada}/atras{ado,o,ada}/demora{do,da}/perd{ido,io}
    retras{ado,o,ada}/atras{ado,o,ada}/demorad{o,a}/demora/demoran/tardan/tardado .. # @time
    mucho/demasiad{o,a}/tanto/tanta .. retraso/demora/atraso/espera/tardan/demoran
    @got .. # @time tarde
    hasta ahora/hoy/el/ahorita .. nada/@no/ni
    y nada $
    y nada de/que/!!/todavia/aun/me
    nada/ni .. llega/llego/llegado/respuesta/respuestas
    donde/onde/dnd/cuando .. esta/anda/quedo/llega .. pedido/paquete/comida/orden/dinero/envio/compra .. !!
    nadie/ninguno .. contest{a,an,o,aron}/respond{e,en,io,ieron}/atiend{e,en}/ayud{a,an}/soluciona/resuelve/
        hace/da/escribe/aparece/vino/viene/llamo/lee/sabe/ha/atendio/llego/explica/dice
    @no .. contest{an,a,aron,as,an}/respond{en,es,e,ieron}/atiend{en,e}/hac{en,er} .. caso/mensajes/nadie/
        telefono/nada/!!/llamadas/wasap/desde/hace/#/en/el/la/nunca
    me/nos .. ignor{an,ando,aron,o}/dejaron .. visto?
    por que/q no .. respond{en,es}/contest{an,as}/atiend{en,es}/llega
    perdi{eron,o} .. mi/el/paquete/pedido/maleta/equipaje
    tir{aron,o}/romp{ieron,io}/dan{aron,o}/perd{ieron,io} .. mi/la/el/nuestro
    @awful .. @service
    @service .. @awful/lent{o,a}/grosero
    el/la/que/muy peor .. servicio/atencion/experiencia/comida/empresa/restaurante/tienda/lugar
    peor .. servicio/atencion/experiencia/empresa/tienda
    groser{o,a,os,as,ia}/malcriad{o,a}/maleducad{o,a,os}/irrespetuos{o,a}/prepotente .. mal?
    me/nos/que .. trat{aron,o} .. mal/grosero/pesimo
    decepcion{ado,ada,ante,ados}/indignad{o,a,ante}/inaceptable/verguenza/vergonzoso/enojad{o,a}/hart{o,a}/
        furios{o,a}/desilusionad{o,a}/insatisfech{o,a}/indignacion/insoportable/encabronad{o,a}
    nunca mas .. compro/vuelvo/pido/compr{o,ar}
    @no vuelvo/volvere/volveremos/compro a/mas/nunca/comprar/pedir
    falta de respeto/profesionalismo/atencion/seriedad
    @account .. bloque{ada,ado,aron,o,aste}/suspend{ida,ido,ieron}/cerrad{a,o}/hacke{ada,ado,aron}/
        inhabilitad{a,o}/cancelad{a,o}/restringida/congelad{a,o}/desactivada
    bloque{aron,o,ado}/suspend{ieron,io}/hacke{aron,ado}/cerraron/cancelaron .. @account/sin
    me bloque{aron,o}/suspendieron/hackearon/cancelaron
    @no .. pued{o,e}/deja/permite/logro/podemos/puedo .. entrar/acceder/ingresar/iniciar/pagar/abrir/usar/
        reservar/comprar
    pago/tarjeta/transaccion .. rechaz{ado,ada,o,an}/fall{o,ado}
    ya .. pague/pagado/deposite/transferi .. y/pero .. @no/nada/nadie
    diferente/distint{o,a} .. foto/descripcion/pedi/anuncio
    @no .. parece/igual/como .. foto/descripcion/imagen/anuncio
    mal estado/olor/sabor/cosid{o,a}/hecho
    algo .. salio/anda/esta mal
    cancel{aron,o} .. sin/mi/el
    @no .. tengo .. internet/luz/senal/servicio
    # cosa{,s}/producto{,s} .. de menos
    asco de
    dejaron plantad{o,a,os}
"""

HARMLESS = """
    mi/nuestro/nuestra .. viej{o,a}/antigu{o,a}/anterior .. murio/rompio/dano/quemo/descompuso/paro
    vecino{,s}/vecina{,s}/casero/jefe/cliente{,s}/huesped{,es}/inquilino .. quej{o,aron,a,an} .. del/de/por
    @no me funciona/sirve/queda .. lunes/martes/miercoles/jueves/viernes/sabado/domingo/manana/hora/horario/dia/
        tarde
    @no .. puedo/podemos .. pagar .. hoy/ahora/manana/todavia/efectivo
    @no .. sirve para
    falta{,n} .. @n @time
    estoy/estaba/si/creo .. equivocad{o,a}
    @no .. recib{i,o,ido} .. link/ubicacion/direccion/catalogo/menu/precio/cotizacion/foto/factura/archivo/lista
    @no .. llego .. tiempo
    @no .. lleg{o,a,aron,ado} .. link/enlace/ubicacion/direccion/catalogo/menu/carta/precio/cotizacion/foto/
        factura/archivo/lista
    habria/seria/tendria/tendrian .. @trouble
    disculp{a,e,en,as}/perdon/perdona .. demora/tardanza/retraso/molestar/molestia{,s}/error/confusion/tarde ..
        contestar/responder?
    consumidor final
    soy/es/frente/cerca/lado/junto .. policia
    estacion de policia
    se me olvido
    me olvide
    @no @passed* @flaw
    jamas/nunca .. @passed* @trouble/@flaw
    nada que reclamar/decir/quejarme
    @trouble ningun{o,a}
    libro{,s}/buzon/formulario/hoja{,s} de? .. queja{,s}/reclamo{,s}/sugerencias
    problema{,s} de fracciones/matematica{,s}/fisica/quimica/algebra/calculo/logica/ajedrez
    practicar/ejercicios/resolver .. problemas de
    estudi{a,o,ar,ando,ante} .. abogad{o,a}/derecho/leyes
    para abogad{o,a,os}
    sin un/una/ningun/ninguna solo/sola? ..
    mi problema es .. que/no
    problema/error/culpa .. es/era/fue mi{o,a}
    problema .. era mi{o,a}
    cual .. problema .. con/de/en/si
    problemas para dormir/bajar/concebir
    libro{,s} .. problemas
    necesito/busco/contratar/quiero un/una? abogad{o,a}
    abogad{o,a} .. cuanto/cobra{,n}/laboral/familiar/penal/consulta
    cobra{,n} .. abogad{o,a}
    tramite{,s} legal{,es}
    hac{en,er,eme,erme} .. cargo
    esposo/esposa/hermana/hermano/mama/papa/hijo/hija/amiga/amigo/novio/novia .. @no .. lleg{ado,o,a}
    @no .. llegado mi esposo/esposa/hermana/hermano/mama/papa/hijo/hija/amiga/amigo
    @no puedo contestar/atender/hablar
    rob{aron,ado,o}/perdi .. mi/el/la? celular/cartera/carro/coche/moto/bolso/documentos/tarjeta/telefono
    perdio el ticket/recibo/celular
    cucarachas/ratas/ratones/hormigas .. cocina/casa/departamento/jardin
    fumiga{n,r,cion}
    @no @passed* estafa/fraude/engano/robo
    alergi{a,co,ca} a
    cero @trouble
    soy/somos/es/trabajo .. abogad{o,a,os}
    demora{,n}/tarda{,n} .. mucho/cuanto $ ?
    garantia .. por/contra defecto{,s}
    @no .. me/nos? quej{o,amos,ar,arme}
    @no .. puedo/podemos/tengo quejarme/queja
    reclam{ar,o,e} .. premio/cupon/puntos/regalo/descuento/bono/promocion/promo/garantia
    cual es? el problema $
    me falta{,n} .. tu/su/saber/pagar/confirmar/decidir/decidirme/enviar/mandar/por/para/llenar/el/la .. numero/
        direccion/nombre/dato/datos
    anti{rrobo,robo}
    seguro .. contra? robo/fraude
    alarma{,s} .. robo
    recuper{ar,acion} .. contrasena/clave/cuenta
    cargo de jefe/gerente/trabajo/vendedor
    puesto/cargo de
    asesoria/asesor legal/fiscal/juridica
    mal tiempo/clima
    @no @passed* @trouble
    @no @passed* cargo{,s}/cobro{,s}/reclamo
    cualquier .. problema/inconveniente/queja/duda
    algun problema si/en/con/para/por/que
    hay/habria/tienen/seria/es .. algun/un/problema/inconveniente si/en/con/para/que/por
    por si .. problema
    problema{,s} de piel/peso/espalda/cabello/acne/salud/vision/sueno/aprendizaje/matematicas/rodilla/caida/
        estrenimiento/erecion/ansiedad/conducta/audicion/memoria/digestion/humedad
    gracias .. por .. ayuda/solucionar/resolver/atencion/reembolso/devolucion/ayudarme/ayudar
    disculp{a,e,en} .. inconveniente{,s}/molestia{,s}
    mi/un/una/el/la/de/otro abogad{o,a} .. recomendo/esta/vive/trabaja/dijo/amigo/cerca
    despacho/oficina/consultorio .. abogad{os,o,a}
    abogad{o,a} .. cerca/recomend{o,ado}/amig{o,a}
    libro/formulario/hoja .. de reclam{os,aciones,acion}
    demanda .. mucha/alta/hay/mucho
    mucha/alta/gran demanda
    edad/mayoria/representante/asesor/horario/domicilio/tamano/asesoria/nombre/documento{,s} legal{,es}
    papel/hojas tamano legal
    cargo de/adicional/extra/alguno/por/$
    sin cargo{,s}
    hay/tiene/tienen/cobran/es/cual .. cargo{,s}/cobro{,s}/costo
    cobr{an,as,a} .. por/el/la/envio/cuanto/iva/extra/$
    cuanto/como/q/que .. me? cobr{an,arian,as,aria,a}
    cargo{,s} extra/adicional/por
    gracias .. ayuda
    no molesta/moleste/molesto
    es/seria molestia
    sin/tanta molestia{,s}
    bebida{,s}/agua/cafe/cerveza/te/postre/clima/jugo .. fri{o,a,as,os}/caliente{,s}
    cosas/autos/carros/celular{,es}/ropa/libros/coches .. usad{os,as,o,a}
    est{a,an,aran} .. abiert{o,a,os}
    tienen .. abierto/usado/usados
    numero/chat/grupo/persona/conversacion/contacto .. equivocad{o,a}
    perdon/disculpa/disculpe/ups/yo/me .. equivocad{o,a}/equivoque
    @no .. esta/estuvo/quedo/estaria/suena/cae mal
    menos mal
    nada/no .. llego roto/danado
    llego .. bien/perfecto/perfecta/excelente/completo/rapido/todo .. gracias
    @no .. falta/faltan .. mas/nada
    falta{,n} .. mucho/para/poco/confirmar/pagar/algo/# @time
    cuanto/que/me falta{,n} .. para/mucho/por/pagar/algo
    hasta que/q/cuando/q .. hora/dia .. tarde
    buenas/buena/la/esta/por/en/muy/mas/de tarde{,s}
    tarde o
    mas tarde
    llego/llegamos/llegare/voy/vamos/estoy .. tarde
    se me hizo tarde
    repar{an,ar,acion,o}/arregl{an,ar,o}/cambi{an,ar,o}/compr{an,ar} .. pantalla{,s}/celular{,es}/equipo/
        rot{o,a,os,as}/quebrad{a,as,o}/danad{o,a}
    estacion/certificado .. policia
    pelo/cabello .. corto/largo/tinte/corte
    corte de pelo/cabello
    no .. estafa/fraude
    es/son/no/sera .. confiable/estafa
    servicio de/a/para/en
    pantalla rota .. cambio/precio/cuesta
    cambiar la/el pantalla ...
"""

MENTIONS = """
    busc{an,ando,o}/contrat{an,ando} .. gente/personal/persona/alguien .. atencion_al_cliente/ventas/
        servicio_al_cliente/para
    trabajo/vacante{,s}/empleo/puesto .. atencion_al_cliente/servicio_al_cliente/soporte/ventas
    soporte para/de/lumbar/pared
    persona de contacto
    ayuda humanitaria/psicologica/economica/social
    de ayuda
    hay alguien en .. tienda/local/oficina/casa/sucursal/clinica
    agradec{ido,ida}/agradezco .. ayuda
    agente/asesor/representante de/viajes/inmobiliario/seguros/ventas/bolsa/transito/aduana{,l,s}/autorizado/
        medico/comercial
    agente/agencia de? viajes/aduanas/seguros/inmobiliaria/transito
    soy/es/eres/somos/trabajo/quiero .. ser? agente/asesor/asesora/representante/abogad{o,a}/gerente/
        encargad{o,a}/como
    eres/es un? bot/robot/humano/persona
    trabajo/vacante/puesto/empleo/sueldo .. asesor/agente/representante/operador/gerente/vendedor
    operador{,a} turistic{o,a}/de/movil/telefonica/logistico
    habl{e,amos,ado,aste,aba,o} .. con .. @person
    asesor/asesora/agente/persona/encargad{o,a}/gerente/vendedor{,a}/atencion_al_cliente/senora/senorita/
        representante .. me .. dij{o,eron}/atendio/ayudo/explico/confirmo/aviso/mando/dijeron/comento/recomendo/
        ofrecio/envio/llamo
    me .. dijo/atendio/ayudo/explico/confirmo/recomendo/comento .. asesor/asesora/agente/persona/encargad{o,a}/
        gerente/vendedor{,a}/senora/representante
    horario{,s}/hora/horas/telefono/correo .. de/tiene/tienen .. atencion_al_cliente/servicio_al_cliente/
        soporte/atencion/asesor
    atencion_al_cliente/servicio_al_cliente/atencion .. excelente/horario/abre/cierra/muy/trabaja/buena/
        increible/sabado/domingo/abierto
    excelente/buena/buen/gran/increible/mejor/super/linda/amable/felicito .. atencion_al_cliente/
        servicio_al_cliente/atencion/asesor{,a}/servicio/soporte
    como/q/que tal atencion/servicio
    me .. ayud{a,as,an,en,e,es,ar,arias} .. a/con/para/por
    ayud{ame,eme,enme,arme,arnos,en,a} .. a/con/para/en elegir/escoger/decidir/mi/el/la/una/un/esto/saber/
        encontrar/reservar/hacer/calcular/pedir/comprar/ver/llenar/este/info
    ayud{ame,eme,enme,arme} a/con/para
    ayuda a/con/para/de/en
    te/le/les/los/lo/yo/luego/despues/ahora .. llamo/llame/marco/llamare/llamar
    @no .. me .. llam{e,en,es}
    me llamo/llama/llamas/llaman
    como se? te? llama{,s,n}
    me llam{o,aron,aste} .. ayer/antes/ya/hoy/esta
    repartidor/mensajero/chofer .. llam{e,en,a,ar}
    me .. llam{a,e,as,en} .. cuando/antes/al/si .. llegue{,n}/este/salga/llegar/llega/listo/lista/este/vengan
    para/de/# .. # persona{,s}
    otra/misma/tercera/primera/cada/por/segunda/cuantas/alguna persona{,s} .. puede/lo/la/mas/adicional/extra/
        recoge/va/$
    por/cuantas/cada persona{,s}
    puede .. recoger{lo,la}/retirar{lo} .. persona/alguien
    cual/que agente/asesor/vendedor
    encanta/encanto/amo/ame/gusta/gusto/felicito/felicidades .. atencion_al_cliente/servicio_al_cliente/
        atencion/asesor{,a}
    queja/reclamo/denuncia/reclamacion/quejarme ... sobre/contra/d{e,el} .. @person
    @talk @with .. mi/ella/esposo/esposa/marido ..
    voy/vamos/tengo/debo .. @talk @with ... y/casa/antes/primero/digo/aviso
    @talk @with alguien .. casa/familia
    dile/gracias/saludos/agradece .. gerente/asesor{,a}/encargad{o,a}/vendedor{,a}
    mi gerente/jefe/jefa/supervisor{,a}/asesor{,a}
    asesor{,a}/vendedor{,a}/gerente/operador{,a}/agente/emplead{o,a}/representante .. fue/es/era/estaba/no/mal/
        groser{o,a}/mintio/desaparecio/esta/que/quedo/hizo
    pesim{o,a}/horrible/mal{a,o} .. atencion/asesor{,a}/servicio_al_cliente/atencion_al_cliente/soporte
    persona .. que/va/recoger/recogera/pasara
    repartidor/mensajero/chofer ... me .. llam{a,e,ar} ..
    repartidor/mensajero/chofer .. llamar{me,} ..
"""

MACHINES = """
    bot/robot/chatbot/contestadora ... ..
    pesimo/inutil/estupido/horrible .. bot/robot/chatbot
    @no .. entiend{e,es,en}/ayud{a,as,an}/sirv{es} .. nada/bot/me $
    menu/opciones/mensajes .. @no .. sirve{,n}
    mensajes automaticos
    misma respuesta
"""

REFUSALS = """
    no/ni/tampoco .. quiero/quisiera/necesito/deseo/hace/busco/requiero/pretendo/pienso/tengo/vengo .. falta/
        que/intencion/a?
    no .. quiero/necesito/deseo/hace/requiero
    sin/no necesidad de/que
    no es necesario .. que/hablar?
    no hay necesidad/falta de/que?
    en vez de
    antes de
    no tengo
    no voy/quiero a/poner
    prefiero no
"""

SUPPOSITIONS = """
    si compro/pido/pago/cambio/cancelo/llevo/voy/reservo/devuelvo/quiero/compra/hago
    si lleg{a,ara,an,o}/viene{,n}/sale{,n}/hay/surge/pasa/tengo/tuviera/esta/queda/fuera/no/se/me/falta/llegara/
        llegase/algo
    en caso
    que pasa si/cuando
    y si
    por si
    cuando .. llega
    suele{,n}
    aceptan/hacen/hay/tienen/permiten/dan .. si
"""

SOLUTIONS = """
    & ^ .. me/nos encant{a,o,an,aron}
    lo/la/los/las/me arregl{o,aron}/repar{o,aron}/solucion{o,aron}/resolvi{o,eron}
    lo/me/nos .. resolvio/solucionaron/resolvieron/arreglaron/soluciono/arreglo
    problema{,s} .. resuelt{o,a,os}/solucionad{o,a,os}/arreglad{o,os}/solucion{o,aron}/resolvi{o,eron}/
        arregl{o,aron}
    @fixed .. problema{,s}/inconveniente/tema
    @fixed .. gracias/$/ya/!!
    ya .. @fixed
    ya .. funciona/quedo/llego/aparecio/esta/sirve/pude/jala/entre .. gracias/$/bien/perfecto/listo
    se .. resolvi{o}/soluciono/arreglo
    todo .. resuelto/solucionado/bien/ok/perfecto/arreglado .. gracias/ahora/$
    fue resuelto/solucionado
    olvidalo/olvidelo
    ya llego
    ya no .. gotea/filtra/huele/falla/traba/apaga/pierde/chorrea
    dej{o,aron} de gotear/filtrar/fallar/oler/trabarse/doler/sonar/perder
    mancha/gotera/ruido/olor/fuga/error/falla/humedad .. desaparecio/salio/quito/fue
    nada grave/serio
    no importa/pasa
    ningun/sin problema{,s}/drama
    & ^ .. valio la pena
    & ^ todo bien
    todavia/aun no .. compre/comprado/pedi/pedido/pagado
    no he .. comprado/pedido/pagado .. todavia/aun/nada
"""

SETTLED = """
    me acreditaron/abonaron .. reembolso/dinero/devolucion/reintegro
    reembolso/devolucion/reintegro .. acreditado/abonado/procesado
    vi/vimos .. reembolso/reintegro/devolucion
    gracias/agradezco .. por .. devolverme/reembolsarme/devolver/reembolsar/regresarme/devolvernos/devolucion/
        reintegro
        .. dinero/plata?
    reembolso/devolucion/reintegro/dinero/plata .. ya? llego/recibido/recibi/listo/aparecio/entro/esta/cayo ..
    recib{i,imos}/llego/aparecio/entro/cayo .. el/mi/la? reembolso/dinero/devolucion/reintegro/plata/compensacion/
        indemnizacion
    me hicieron .. reembolso/devolucion
    me devolvieron/reembolsaron/reintegraron/regresaron/devolvio/reembolso .. dinero/plata/pago/lana/monto/ayer/
        hoy/gracias/todo/rapido/$
"""
AWAITED = """
    cuando donde quiero necesito todavia aun exijo si solo mitad quisiera prometieron hasta que para
"""
NEVER = """
    nada/ningun{a,o} .. nunca @bad/@trouble/@flaw
    nunca/jamas .. tuve/tuvimos/tenido/vi/visto/encontre/encontrado/habido/hubo/dado/dio/pasado/paso/sentido/oido
    nunca/jamas .. me/nos/les .. fall{o,aron,ado}/decepcion{o,aron,ado}
    nunca/jamas .. .. nada/ningun{a,o}? .. @bad/@trouble/@flaw/@awful
    nunca/jamas .. retras{an,aron,o,ado}/tard{an,aron,o,ado}/fall{an,aron,o,ado}/equivoc{an,aron,ado}/
        demor{an,aron,o,ado}/quej{e,ado,amos}
"""
UNHEARD = "hasta tan tanto tanta peor semejante asi igual respuesta"
ELSEWHERE = """
    otr{o,a,os,as}/ultim{a,o}/anterior/competencia .. tienda{,s}/empresa{,s}/lugar{,es}/restaurante{,s}/
        pagina{,s}/vendedor{,a}/proveedor/salon/marca/taller/sitio
    la competencia
"""
OURS = "su sus tu tus vuestra vuestro"
SECURITY_SIGNS = "camara{,s} alarma{,s} candado cerradura seguro rastreador puerta{,s} sensor caja_fuerte"
SECURITY = """
    robo{,s}/hurto{,s}/fraude{,s}/ladron{,es}
"""
ILLNESS_SIGNS = "cita turno reprogramar cambiar posponer cancelar mover tarde manana hoy reagendar"
ILLNESS = """
    mi/nuestro/el/la? hijo/hija/esposo/esposa/mama/papa/bebe/nino/nina .. enferm{o,a,aron}
    me/se .. enferm{e,o,aron}
    mi/el coche/carro/auto/moto/bici .. rompio/descompuso/averio/dano/murio/pincho/poncho
    se me .. rompio/descompuso/averio/dano/murio/pincho/poncho .. coche/carro/auto/moto/bici
"""
SIGNS = "el los las muy pero hola gracias quiero tengo usted ustedes porfa para con por hay del al esta este pedido"
"""Spanish, with some words that are Portuguese too."""
HOMOGRAPHS = """
    golpe{,s}
"""
REPAIR_SIGNS = """
    arreglan arreglar reparan reparar reparacion{,es} cambiar cambian tecnico arreglo mantenimiento repuesto
    revisan fumigan
"""
REPAIRS = """
    @thing .. @bad
    se .. me? rompi{o,eron}/quebr{o,aron}/dano/rajo/descompuso
    rot{o,a,as,os}/quebrad{o,a}/rajad{o,a}/danad{o,a}
    @no .. prende/enciende/carga/funciona/enfria
    dejo de funcionar
"""

LISTS = Lists(
    classes=CLASSES,
    denials=DENIALS,
    human=HUMAN,
    insisted=INSISTED,
    demands=DEMANDS,
    troubles=TROUBLES,
    harmless=HARMLESS,
    mentions=MENTIONS,
    machines=MACHINES,
    refusals=REFUSALS,
    suppositions=SUPPOSITIONS,
    solutions=SOLUTIONS,
    settled=SETTLED,
    awaited=AWAITED,
    never=NEVER,
    unheard=UNHEARD,
    elsewhere=ELSEWHERE,
    ours=OURS,
    contexts=(
        Topic(SIGNS, HOMOGRAPHS),
        Topic(REPAIR_SIGNS, REPAIRS),
        Topic(ILLNESS_SIGNS, ILLNESS),
        Topic(SECURITY_SIGNS, SECURITY),
    ),
)
