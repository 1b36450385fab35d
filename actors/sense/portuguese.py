"""What is said in Portuguese, in Brazil first. The notation is that of `patterns.py`."""

from __future__ import annotations

from actors.sense.lists import Lists, Topic

DENIALS = "nao n naum num sem nem nunca jamais nenhum{,a} ninguem ngm nada"

CLASSES = {
    "flaw": """
        arranhao arranhoes defeito{,s} falha{,s} erro{,s} atraso{,s} dano{,s} avaria{,s} contratempo{,s}
        risco{,s} amassado
    """,
    "strong": """
        quebrad{o,a,os,as} danificad{o,a,os,as} defeituos{o,a,os,as} incomplet{o,a,os,as} estragad{o,a,os,as}
        vencid{o,a,os,as} podre{,s} rasgad{o,a,os,as} amassad{o,a,os,as} rachad{o,a,os,as} trincad{o,a,os,as}
        azed{o,a} mofad{o,a,os,as} destruid{o,a,os,as} pifad{o,a} violad{o,a} faltando
    """,
    "got": """
        cheg{ou,aram} veio vieram receb{i,emos,eu} entreg{aram,ou} mand{aram,ou} envi{aram,ou} trouxe{,ram}
        deram venderam
    """,
    "no": "nao n naum num sem nem nunca jamais nenhum{,a} ñ",
    "passed": """
        unico unica so sequer com voces vcs nem nenhum{,a} um uma o a os as ha houve tenho tem temos tinha
        tive tivemos teve ter existe e foi era esta ta vai ser seria algum{a,} qualquer mais outro outra maior
        grande grandes isso me da deu vejo de que por problemas
    """,
    "trouble": """
        problema{,s} problemao probleminha{,s} poblema{,s} prob reclamacao reclamacoes queixa{,s} pobrema
        stress estresse
    """,
    "person": """
        pessoa humano humana alguem algm alguma atendente{,s} agente representante operador{,a} gerente
        supervisor{,a} chefe dono dona vendedor{,a} consultor{,a} funcionari{o,a} responsavel especialista
        tecnico corretor{,a} assessor{,a} suporte atendimento vendas financeiro equipe setor sac
        colaborador{,a} recepcao secretaria recepcionista comercial
    """,
    "a": """
        um uma o a os as algum alguma seu sua outro outra do da de setor area time equipe verdade alguem
        pessoa outro ser departamento voce vc central
    """,
    "talk": "falar conversar fala flr falr falarr conversa tratar contatar",
    "with": "com c cm pro  a ao",
    "bot": "bot bots robo robos maquina{,s} chatbot automatic{o,a,as,os} ia robozinho eletronica gravacao",
    "now": """
        por pf pfv pfvr favor porfavor porfa urgente agora ja rapido pls # !! ai aqui hj hoje obg obrigad{o,a}
        alguem plmds pelo
    """,
    "thing": """
        carne frango peixe arroz sushi salada bebida bebidas cafe hamburger pedido encomenda pacote
        produto{,s} item itens caixa comida lanche entrega pizza hamburguer celular telefone tela vestido
        sapato camisa bolo aparelho maquina compra mercadoria flores roupa blusa tenis bolsa garrafa quarto
        marmita
    """,
    "came": """
        cheg{ou,aram,a} veio vieram vem receb{i,emos,eu} entreg{aram,ou} mand{aram,ou} envi{aram,ou}
        trouxe{,ram} deram ta estava estao esta tava foi ficou est{a,ao,ava,avam}
    """,
    "bad": """
        quebrad{o,a,os,as} danificad{o,a,os,as} defeituos{o,a,os,as} defeito incomplet{o,a,os,as}
        errad{o,a,os,as} fri{o,a,os,as} derramad{o,a,os,as} estragad{o,a,os,as} vencid{o,a,os,as} podre{,s}
        rasgad{o,a,os,as} amassad{o,a,os,as} riscad{o,a,os,as} abert{o,a,os,as} usad{o,a,os,as}
        manchad{o,a,os,as} cru crua crus queimad{o,a,os,as} revirad{o,a,os,as} trocad{o,a,os,as}
        rachad{o,a,os,as} trincad{o,a,os,as} furad{o,a,os,as} molhad{o,a,os,as} vazi{o,a,os,as} azed{o,a}
        suj{o,a,os,as} falsificad{o,a,os,as} fals{o,a,os,as} atrasad{o,a,os,as} faltando descolad{o,a,os,as}
        esmagad{o,a,os,as} mofad{o,a,os,as} murch{o,a,as,os} gelad{o,a} destruid{o,a,os,as} violad{o,a}
        diferente pifad{o,a} descosturad{o,a}
    """,
    "n": "# um uma dois duas tres quatro cinco varias varios meia algumas alguns quase mais",
    "time": "hora{,s} h hr hrs dia{,s} semana{,s} mes meses minuto{,s} min ano{,s}",
    "account": "conta cartao numero perfil acesso login cadastro",
    "adv": """
        todo toda todos muito meio super completamente tao mais ja bem bastante mt mto tudo totalmente o a um
        uma meu minha produto pedido e
    """,
    "awful": """
        pessim{o,a,os,as} horrivel horriveis terrivel lixo ridicul{o,a} lamentavel vergonha vergonhos{o,a}
        ruim porcaria absurdo nojent{o,a} desastre bosta merda pior piores
    """,
    "service": """
        atendimento servico experiencia comida qualidade produto restaurante empresa loja entrega suporte
        lugar tratamento
    """,
    "fixed": """
        resolvid{o,a,os,as} resolveu solucionad{o,a,os,as} consegui resolveram resolvi arrumad{o,a} arrumou
        consertad{o,a} sanado
    """,
}

HUMAN = """
    me lig{a,ue,uem} qdo/qd/qnd/assim/quando puder{em}/der/possivel/conseguir{em}
    me lig{a,ue,uem} qdo/qd/qnd/assim puder
    o/a dono/dona/gerente esta/ta $ ?
    me .. transfer{e,ir}/transfira/encaminh{a,e} $/@now
    @person me .. cham{e,a,ar}/lig{ue,a,ar}/respond{a,e}/atend{a,e}
    deixa .. eu fal{ar,a}
    me da/passa .. numero/telefone/contato .. @person/falar
    qual .. numero/telefone/contato .. pra/para/do/da/de .. falar/ligar/@person/atendimento
    como .. falo/faco/consigo/posso .. falar/falo com
    como falo com
    atendente/agente/humano/pessoa agora
    alguem .. disponivel/online/ai/aki/aqui
    alguem da/do equipe/suporte/loja/financeiro/comercial/vendas
    ^ me ajud{a,e,em}
    pode{riam,ria,m,} .. me/nos contat{ar,arem}
    pode ser uma pessoa/humano
    quero/queria/preciso/posso/consigo/da/gostaria .. fal{ar,a}/conversar $
    quero/queria/preciso/posso/consigo/gostaria .. fal{ar,a}/conversar @now
    @talk .. @with .. @person
    @talk .. pessoalmente/telefone/ligacao/fone
    chama{,r,e,m} @a* @person
    quero/queria/preciso/gostaria .. ser atendid{o,a}
    me atend{e,a,am,em} @now/$/alguem/por
    cade/kd/onde .. atendente/humano/pessoal/pessoa/gerente
    peca/pede/pedir/manda/mandar/pedem .. alguem/atendente/vendedor/gerente/pessoa .. lig{ar,ue,a}/cham{ar,e}/me
    moca/moco/gente .. me ajuda
    quero/preciso/gostaria .. uma? ligacao/chamada
    @person .. de verdade/verdadeira/real/humano
    numero/telefone/contato .. d{o,a,e}/pra/para .. @person/falar/ligar
    atendente/humano .. por/pf/pfv/urgente/please/!!
    quero/quer/preciso/prefiro/exijo/gostaria uma/um? pessoa/humano/gente
    fal{ar,a}/conversar com @a* gente/pessoas/ser/humanos
    quero/queria/preciso/posso/gostaria/prefiro/podia/deixa .. fal{ar,a} com o/a/os/as/algum/alguma/seu/sua/dr/
        dra
    quero/preciso/gostaria/exijo ... .. gerente/supervisor/dono/dona/responsavel
    com o/a? gerente/supervisor/dono/responsavel
    quem e/eh o/a dono/dona/gerente/responsavel
    retorn{ar,em,e,o} .. ligacao
    cham{a,e,em,ar} no/na? telefone/fone/ligacao
    me .. chama no telefone
    pode/podem/poderia/consegue/conseguem/alguem .. ajud{ar,a} $
    pode/podem/poderia/consegue/conseguem/alguem .. ajud{ar,a} @now
    agente/atendente/representante/operador/operadora
    ^ humano/pessoa/gerente/vendedor/suporte/supervisor/consultor @now?
    atendimento humano/pessoal/personalizado
    atendente humano
    suporte tecnico/humano
    ajuda/ajude/ajudem/socorro $
    me ajud{a,e,em} $
    me ajud{a,e,em} @now
    ajuda/ajude/ajudem @now
    ^ me ajud{a,e,em} gente/pelo/deus
    preciso/quero/necessito .. ajuda $
    preciso/quero/necessito .. ajuda @now
    alguem .. ajud{ar,a,e} $
    alguem .. me ajud{a,ar,e}
    socorro
    @talk @with @a* @person
    @talk com voces/vcs por telefone
    @talk por/no telefone
    falar direto/diretamente com
    fal{o,a,e} com @a* @person $
    com quem .. falo/falar/converso/$
    contato com @a* @person
    quero/preciso/gostaria/queria/prefiro/quer/passa/chama/chame/chamar/cade/me/aciona/cade/kd .. um/uma/o/a/do/
        da/de/com? gerente/supervisor/atendente/humano/responsavel/dono/dona/vendedor/consultor
    quero/preciso/queria/prefiro/exijo/gostaria .. pessoa/humano/atendente real/verdade/humana
    ser humano
    alguem/pessoa/atendente .. humano/humana/real/verdade
    pessoa real
    gente de verdade
    passa/passar/passe/passem/transfere/transfira/transferir/encaminha/encaminhe/encaminhar/direciona/direcione/
        direcionar/conecta/conecte/conectar/liga/coloca/bota/redireciona/transferencia pra/pro/para/com/a/ao/
        por @a* @person
    me .. pass{a,ar,e,em}/transfer{e,ir}/transfira/encaminh{a,e,ar}/direcion{a,e,ar}/conect{a,e,ar}/coloca pra/
        pro/para/com/a/ao/o @a* @person
    me .. lig{a,ar,uem,ue,am}/telefon{a,ar,e,em}/chamar $
    me .. lig{a,ar,uem,ue,am}/telefon{a,ar,e,em} @now/quando/ainda/nesse/neste/no/amanha
    pode{,m,ria}/consegue{,m}/favor/preciso/quero/queria/tem .. me lig{ar,a,uem}/telefonar/contatar/atender
    lig{a,ue,uem,ar} .. pra/para mim/nos/gente
    ligue/liguem/liga me/agora/pra/para
    aguardo/espero/solicito/quero/preciso/queria/peco .. ligacao/contato .. $/de/por/telefonico/urgente/humano
    pode{m,ria,}/favor/peco/alguem/responsavel/gerente/consultor/vendedor entr{ar,e,em,a} em contato
    entr{ar,em,e} .. em contato comigo/conosco
    alguem/algum/pessoa/atendente/gerente/vendedor/vendedora/consultor/consultora/responsavel/humano/
        especialista .. me/nos .. lig{ar,a,ue}/atend{er,a,e}/cham{ar,e,a}/contat{ar,e}/respond{er,a,e}/
        ajud{ar,e,a}/explique/explicar/retornar/retorne/orientar/fale
    alguem/pessoa/atendente/gerente/vendedor/consultor/responsavel .. atend{er,a,e}/respond{er,a,e}/fal{ar,e}/
        entr{ar,e}/convers{ar,e}/lig{ar,ue,a}/chama{r} .. comigo/contato/mim/aqui/ai/aki/!!
    alguem/pessoa/atendente/gerente/responsavel .. atend{er,e,a}/responder/ligar $
    tem alguem/algum/gente/pessoa/atendente ai/aqui/humano/real/verdade/disponivel/aki/$
    tem .. alguem/atendente/humano .. de? verdade/disponivel/online/atendendo/humano
    ser atendid{o,a} por
    atendid{o,a} por @a* pessoa/humano/alguem/gerente/atendente
    que .. atendente/vendedor/gerente/alguem/pessoa/consultor me
    cham{a,e,ar,em} .. o/a/um/uma/seu/sua? gerente/supervisor/dono/dona/responsavel/atendente/alguem
"""

INSISTED = """
    @no .. quero/fala/falo/falar/converso/gosto/aguento/aguento .. @bot
    chega/cansei/cansad{o,a}/odeio/para/parem .. @bot
    em vez de .. @bot
    @no com? @a* @bot
    ninguem humano
"""

DEMANDS = """
    devolveram/reembolsaram/estornaram .. so/metade/parte/apenas
    fazer/registrar/abrir/fiz .. bo
    direito{,s}/defesa/codigo/orgao/delegacia .. consumidor
    vomit{ei,ando,amos,ou}/diarreia .. .. comida/comer/depois/lanche/restaurante/sua
    reclam{ar,ando,ei}/reclamo
    reclame aqui
    acao/acoes/medida/medidas/via/vias/providencia/providencias/aspecto/parte/departamento legal/legais
    advogad{o,a,os}/juridic{o,a,amente}/legal/legais/legalmente/justica/processo/processar/processo/processarei/
        tribunal/judicial/judicialmente
    procon/anatel/bacen/ouvidoria/senacon
    denunci{a,ar,arei,o,ando}
    policia/delegacia/ocorrencia
    boletim de
    pequenas causas
    reembols{o,os,ar,e,em,ado,ada}/reenbolso/rembolso/ressarc{imento,ir,ido,am}/estorn{o,ar,ado,em,e,aram}/
        restituicao/restituir
    dinheiro/grana/valor/pagamento .. de volta/devolta/devolvid{o,a}
    devolv{am,er,e,eram,a,ido} .. dinheiro/grana/valor/pagamento/pix
    devolucao .. dinheiro/valor/pagamento/pix
    quero/pedir/solicito/solicitar/exijo/fazer/preciso .. devolucao
    quero/preciso/cade/kd/queria/exijo .. meu/o dinheiro/pix
    indeniz{acao,ar,ado,em}/indenizacoes/compens{acao,em}
    danos morais
    disput{a,ar}/contest{ar,acao,o,ando} .. compra/cobranca/$/valor/fatura
    cobr{ou,aram,ado,ada,ando,anca,aste,ei}/pag{uei,o,aram}/debit{ou,aram,ado}/descont{ou,aram,ado}/caiu .. #
        vezes/vzs
    # vezes .. cobr{ado,aram,ou,ada}/cartao/debitado
    cobr{ou,aram,ado,ada,ando,anca,ancas}/debit{ou,aram,ado,o}/descont{ou,aram,ado} .. a mais/dobro/dobrad{o,a}/
        duplicad{o,a}/duplicidade/indevid{a,o,amente}/errad{o,a}/maior/erro/repetida/desconhecida/novamente/dnv/
        nao/sem/estranha
    @no .. reconhec{o,i}/autorizei/fiz/pedi .. cobranca{,s}/compra/debito/pagamento/valor
    cobranca{,s} .. no/em/na/do meu/minha/cartao/conta/fatura
    cobranca{,s} .. que @no
    cobranca indevida
    cobr{aram,ou} .. de mim/meu/algo/coisa/taxa que/sem
    me cobr{aram,ou,ando}
    fui/fomos/estou/to/sendo cobrad{o,a}
    tiraram/sacaram/descontaram/debitaram .. dinheiro/da/do/meu/minha
    fatura/conta/boleto/nota/valor/cobranca .. errad{o,a}/incorret{o,a}/erro/maior/diferente
    erro na/no/da fatura/conta/cobranca/boleto/valor/nota
    valor .. cobrado .. errado/maior/diferente
    golp{e,es,istas,ista}/fraud{e,es,ador,ada,aram}/estelionat{o,ario,arios}/rouba{r,ram,do,da,ndo,lheira}/
        roub{o,ou,aram}/ladr{ao,oes}/engan{ado,ada,aram,acao,osa,ou}/mentiros{o,os,a}/picareta{,s,gem}/
        vigarist{a,as}/safad{os,o,eza}/trambique/pilantra{,s,gem}/furto/furtaram/calote{,iro,iros}/
        caloteir{o,os}/enrol{ando,acao,ada,ados,am}
    intoxica{cao,do,da,dos}/envenen{ado,aram,ada}
    pass{ei,amos,ou,aram,ando} .. mal
    fiquei/ficamos/ficou/adoec{i,emos,eu} .. doente{,s}
    adoec{i,emos,eu}
    cabelo/inseto/bicho/larva/mosca/vidro/plastico/mofo/prego/pedra/lagarta .. n{o,a,os,as}/dentro .. comida/
        sopa/salada/pizza/lanche/prato/meu/minha/marmita/hamburguer/bolo/pao
    ach{ei,amos}/encontr{ei,amos}/tinha/veio ... cabelo/inseto/bicho/larva/mosca/vidro/mofo
    uma barata
    baratas/ratos n{o,a}/em/pela/pelo
    reacao alergica
    alergia .. ao/a/do/depois .. produto/creme
    vou/vamos/irei .. process{ar,a}/denunciar/reclamar/expor/postar/procurar/acionar/abrir .. voces/vcs/procon/
        advogado/justica/reclamacao/direitos/internet/boletim/reclame
    meus direitos
    direito do
"""

TROUBLES = """
    com/tem/tinha/esta um/uma furo/rasgo/buraco/mancha/racho/trinca/amassado n{o,a,os,as}
    funcion{ou,aram}/dur{ou,aram} .. dia{,s}/semana{,s}/hora{,s}/mes .. morreu/parou/pifou/quebrou/apagou
    entregador/motoboy/motorista/atendente/gerente/funcionari{o,a}/vendedor{,a}/moco/moca .. grit{ou,ando}/
        xing{ou,ando}/
        ofend{eu,endo}/ameac{ou,ando}
    ziper/botao/alca/sola/salto/tampa/roda .. soltou/caiu/descolou/quebrou/arrebentou
    deix{ou,aram} de funcionar/ligar/carregar
    pass{aram,ou} .. cartao .. # vezes
    @no bate{,m}
    @no .. bate com
    apag{a,ou,ando}/deslig{a,ou,ando}/reinici{a,ou}/trav{a,ou,ando} .. sozinh{o,a}
    @got com o/a/um/uma/os/as .. @bad
    tem/tinha/achei/vi .. percevejo{,s}/barata{,s}/rato{,s}/formiga{,s}/bicho{,s} .. cama/quarto/comida/colchao/
        restaurante/banheiro/prato
    vazando/vaza/pingando/infiltracao .. tudo/parede/agua/desde/$
    alag{ou,aram,ado,ada}/inund{ou,aram}
    reclamacao/reclamacoes/queixa{,s}
    promet{eram,eu} .. @time/@no/ontem/que/e
    & ^ .. mandaram/veio/vieram/faltou/esqueceram
    me machuc{ou,aram}/feriu/queimou/queimaram
    inflamad{o,a}/infeccionad{o,a}/inchad{o,a} .. depois/desde/por
    e agora .. inflamad{o,a}/infeccionad{o,a}/inchad{o,a}
    terceira/segunda/quarta/quinta/# vez que .. @no/escrevo/peco/ligo/acontece/reclamo/pergunto/mando/erram
    em dobro
    @got .. que @no e/eh/era
    @no .. isso que .. ped{i,imos}/compr{ei,amos}
    ficaram de
    @no .. devolv{eram,em,eu}/estornaram/reembolsaram
    tive/deu/causou/peguei/fiquei .. alergia/coceira/irritacao/queimadura/ardencia
    era pr{a,o}/para ontem/anteontem
    @no .. esta/ta/estava/tava pront{o,a,os,as}
    me bloque{aram,ou}/baniram
    cobr{aram,ou} .. frete/taxa/entrega/mais/juros/multa/algo/coisa
    @got .. sem o/a/os/as
    @no presta{,m}
    deix{aram,ou} .. esperando
    erro n{o,a}/ao/na .. pagamento/pagar/site/app/sistema/hora/login
    da/dando/deu/aparece .. erro
    esqueceram
    vc/vcs/voce/voces/entregador/motoboy/loja .. esquec{eram,eu}
    quantas vezes ... perguntar/falar/pedir/escrever/repetir/ligar/!!
    ped{i,imos}/comprei/encomendei/paguei/escolhi ... e me? mandaram/veio/vieram/entregaram/trouxeram
    quebr{ou,aram}/estrag{ou,aram}/danific{ou,aram}/risc{ou,aram}/manch{ou,aram}/perd{eu,eram}/rasg{ou,aram}/
        queim{ou,aram} .. meu/minha/meus/minhas/nosso/nossa
    por que/pq .. tem/veio/aparece/cobraram/esta/ta .. .. fatura/conta/cobranca/cartao/boleto
    a mais .. n{o,a}/em .. conta/fatura/boleto/cartao
    esper{amos,ei} .. @n @time por/pra/para/e/numa/na
    esperei .. @n @time
    esperando .. .. @n @time
    compra/compras/transacao/saque/pix .. @no .. autorizad{a,o}/reconhecid{a,o}/fiz
    @no .. tem/tinha .. nada a? ver
    trat{ou,aram} .. mal/grosso
    suj{o,a,os,as} .. e/fedendo/demais/$
    fedendo/fedor/fedid{o,a}
    consta/aparece/diz/status .. entregue .. @no/nada
    consta/aparece/diz/status .. entregue
    sem .. minha/meu .. autorizacao/permissao/consentimento/conhecimento
    erro .. n{o,a} .. fatura/conta/cobranca/boleto/nota
    assinatura .. cancelei
    problema{,s}/problemao/probleminha/poblema/pobrema/transtorno{,s}
    @got @adv* @bad
    @came @adv* @strong
    @got com defeito{,s}/problema/furo/mancha/manchas/arranhao/arranhoes/mofo/atraso/avaria/cabelo/gosto/cheiro
    @got .. @thing .. @bad
    @thing .. @got .. @bad
    @thing .. @came .. @strong
    comida/lanche/pizza/pedido/marmita/carne/frango/peixe/arroz/bolo .. @came .. @bad
    quebrou/estragou/rasgou/pifou/queimou/descolou/soltou/rachou/trincou/desmontou/descosturou/furou/encolheu/
        desbotou .. $/com/em/no/na/depois/apos/ja/sozinho/hoje/ontem/e/o/a/!!/de/rapido
    deu/dando/da/apresent{ou,a,ando} defeito/erro/ruim/falha/pau
    defeito{,s}/defeituoso/avariado
    par{ou,aram} de funcionar/carregar/ligar/pegar/gelar
    @no .. funcion{a,ou,am,ando,ava}/liga/ligou/pega/presta/carrega/carregando/abriu/conecta/esquenta/gela/
        serviu/imprime/acende
    falt{ando,ou,aram,am,a,ava} .. item/itens/produto/produtos/peca/pecas/coisa/coisas/bebida/refrigerante/
        batata/molho/refri
    falt{ando,ou,aram} .. #/um/uma/parte/metade
    @got .. sem .. refri/bebida/refrigerante/batata/molho/carregador/acessorios/manual/recheio/queijo/talher/
        nota
    faltou/faltando/faltaram .. n{o,a}/meu/minha .. pedido/caixa/entrega/encomenda
    @got .. cor/tamanho/modelo/produto/item/pedido/sabor/numero/lanche/prato/coisa/peca errad{o,a,os,as}/
        diferente/trocad{o,a}
    mand{aram,ou}/envi{aram,ou}/entreg{aram,ou}/trouxeram/recebi/veio .. errad{o,a}/diferente/trocad{o,a}
    mand{aram,ou}/entreg{aram,ou}/trouxeram .. outr{o,a} .. cor/tamanho/modelo/produto/coisa/sabor/pedido
    produto/pedido/cor/tamanho/item/modelo/endereco errad{o,a}
    @no .. o/a que .. ped{i,imos}/compr{ei,amos}/encomend{ei,amos}/paguei/escolhi
    @no .. cheg{ou,aram,ando}/receb{i,emos,eu}/entreg{aram,ue,ou}/veio/apareceu
    @no .. foi/e entregue
    sem .. resposta/retorno/solucao/noticias/receber/entregar
    ate agora/hoje/o/ontem .. nada/@no/nem/ninguem
    e nada $
    e nada ate/!!/ainda/ne
    nada de .. resposta/entrega/pedido/chegar/resolver/retorno
    nada .. cheg{ou,ar}/resolv{e,eu,em,ido}/feito
    ainda .. nada
    ainda .. @no .. cheg{ou,aram}/receb{i,emos}/veio/entregaram/resolv{eram,eu}/apareceu/respond{eram,eu}
    to/estou/estamos/continuo/tamo .. esperando ha/faz/desde/resposta/retorno/ate/uma/duas/#/!!/e
    ainda/continuo/sigo esperando
    esperando .. ha/faz/desde/a/tem # @time
    esperando .. # @time
    esperando .. ha/faz/desde/muito/horas/dias/semanas/ontem/seculos
    faz/ha/tem/desde/fazem/ja/a .. # @time .. esper{o,ando,amos}/atras{ado,ada,o}/nada/@no/sem/!!
    faz/ha/fazem/ja .. @time .. e/que nada/@no/ninguem/estou/to/nem/tento
    # @time .. atras{ado,ada,o}/esperando/atrasou
    @thing/entregador/motoboy .. atrasad{o,a}/atrasou/demor{ando,ou,a,ado}/sumiu/perdid{o,a}/extraviad{o,a}/
        parad{o,a}
    atras{ado,ada,o,ou} .. # @time
    muito/mt/mto/super/tao/muita atras{ado,ada,o}/demora/demorado/demorada
    demora{,ndo} .. muito/demais/absurda/!!
    extravi{ou,ado,o,aram,ada}/sumi{u,ram,co}
    cade/kd/onde .. pedido/encomenda/comida/lanche/entrega/dinheiro/produto/pacote .. !!
    onde esta/ta .. pedido/encomenda/comida .. !!
    ninguem/ngm/ngn .. respond{e,eu,em}/atend{e,eu,em}/ajud{a,ou}/resolv{e,eu}/faz/fala/aparec{e,eu}/veio/liga/
        ligou/sabe/da/deu/explica/retorna/retornou/le/visualiza/entrou
    @no .. respond{em,e,eram,eu}/atend{em,e,eram,eu}/retorn{am,ou,aram}/resolv{em,e,eram,eu}/d{ao,eram} ..
        ninguem/mensagens/mensagem/nada/telefone/!!/ligacoes/ha/faz/desde/me/meu/minha/o/no/a/retorno/
        satisfacao/mais/#/$
    me ignor{am,ando,aram,a}/deixaram .. vacuo/visto?
    por que/pq .. @no .. respond{em,e}/atend{em,e}/cheg{ou,a}
    perd{eram,eu} .. meu/minha/pedido/encomenda/bagagem/mala
    quebraram/estragaram/danificaram/destruiram/jogaram .. meu/minha/o/a/nosso
    @awful .. @service
    @service .. @awful/lent{o,a}/grosseir{o,a}
    muito ruim/mal
    fui/fomos .. mal atendid{o,a,os}/tratad{o,a,os}/maltratad{o,a}/destratad{o,a}/humilhad{o,a}/mal
    mal atendid{o,a,os}/tratad{o,a,os}/educad{o,a,os}
    grosseir{o,a,os}/grosseria/gross{o,a,os}/maleducad{o,a,os}/arrogante/destrat{ou,aram}/
        desrespeit{o,oso,aram}/descaso/palhacada/absurdo/vergonha
    falta de respeito/educacao/profissionalismo/consideracao/compromisso
    decepcion{ado,ada,ante,ados,ei}/indignad{o,a,os}/inadmissivel/inaceitavel/chatead{o,a,os}/irritad{o,a}/
        revoltad{o,a}/insatisfeit{o,a,os}/frustrad{o,a}/frustrante/insatisfacao/put{o,a}/lesad{o,a}/
        prejudicad{o,a}/prejuizo/desapontad{o,a}
    nunca mais .. compr{o,arei,ar}/ped{ir,irei}/volto/peco/uso
    @no compro/volto/peco/recomendo .. mais/nunca/$/a/voces/vcs/essa/ninguem
    @account .. bloque{ada,ado,aram,ou,io}/suspens{a,o}/hackead{a,o}/cancelad{a,o}/desativad{a,o}/invadid{a,o}/
        clonad{a,o}/banid{a,o}/travad{a,o}/restrit{a,o}
    bloque{aram,ou,ado,ada}/suspenderam/hackearam/cancelaram/clonaram/invadiram/baniram .. @account/sem/meu/
        minha/me
    @no .. consigo/consegui/conseguimos/deixa/da/posso/permite .. entrar/acessar/logar/pagar/usar/abrir/login/
        finalizar/acesso/comprar/cancelar/sacar
    pagamento/cartao/pix/transacao .. recusad{o,a}/falhou/negad{o,a}/caiu
    ja .. paguei/pago/transferi/pix .. e/mas .. @no/nada/ninguem
    diferente/distinto .. d{a,o} foto/anuncio/descricao/site/pedi
    @no .. parece/igual/como/e .. foto/anuncio/descricao/imagem
    cancel{aram,ou} .. sem/meu/minha/o/a .. pedido/reserva/consulta/avisar/sem
    propaganda enganosa
    caiu .. cabelo/pelo
    gosto/cheiro/sabor .. ruim/estranho/podre/azedo/estragado/horrivel
    falt{a,ou} .. com respeito
    @no .. tenho .. internet/luz/sinal
    internet/luz/sistema/site/app/aplicativo .. caiu/caindo/lent{o,a}/travando/fora/travado/trava
"""

HARMLESS = """
    meu/minha/nosso/nossa .. antig{o,a}/velh{o,a}/anterior .. pifou/quebrou/morreu/parou/estragou/queimou
    vizinho{,s}/vizinha{,s}/sindico/chefe/cliente{,s}/hospede{,s}/inquilino .. reclam{ou,aram,a,am} .. do/da
    @no .. funciona/serve/da .. pra/para mim
    @no .. consigo/posso .. pagar .. hoje/agora/ainda/dinheiro
    @no .. serve pra/para
    falt{a,am} .. @n @time
    livro{,s}/curso/faculdade/aula/aulas/professor{,a}/prova/apostila/palestra .. de/em/sobre .. direito{,s}/
        defesa/codigo .. consumidor?
    @no .. t{ive,enho,em,inha,ivemos,emos} .. que reclamar
    @no .. cheg{ou,aram} .. link/localizacao/endereco/catalogo/cardapio/preco/orcamento/foto/nota/arquivo/lista/
        menu
    teria/haveria/seria/daria .. @trouble
    papel/tamanho/folha/folhas/idade/representante/responsavel/requisito/requisitos/amazonia legal/legais
    cheg{o,arei,ar,amos}/vou/estou/to .. # min/minutos .. atrasad{o,a}
    cheg{o,arei,ar,amos}/vou .. .. .. atrasad{o,a}/tarde
    desculp{a,e,em,as}/perdao .. demora/demorar/atraso/incomodo/incomodar/erro/confusao/transtorno ..
    @no .. receb{i,emos} .. link/localizacao/endereco/catalogo/cardapio/preco/orcamento/foto/nota/arquivo/lista
    consumidor final
    por engano
    trato feito
    sou/frente/perto/lado .. policia/delegacia
    compensa/compensar
    @no @passed* @flaw
    jamais/nunca .. @passed* @trouble/@flaw
    nada a/de/que/para/pra? reclamar
    @trouble/@flaw nenhum{a,}
    livro/caixa/formulario .. reclamac{ao,oes}/sugestoes
    problema{,s} de fracao/fracoes/fisica/quimica/algebra/logica/calculo
    estud{a,o,ar,ando,ante} .. advogad{o,a}/direito
    curso .. direito/juridic{o,a}
    sem nenhum{a} ..
    meu problema e/eh .. que/nao
    problema/culpa/erro .. e/eh/era/foi/estava meu/minha/aqui
    qual .. problema .. de/em/se
    problema{,s} pra/para dormir/emagrecer/engravidar
    livro{,s} .. problemas
    preciso/procuro/busco/quero/contratar um/uma? advogad{o,a}
    cobr{a,am} .. advogad{o,a}
    advogad{o,a} .. quanto/valor/cobra{,m}/consulta
    advogad{o,a} trabalhista/criminal/familia/previdenciario
    robo aspirador/limpador
    marido/esposa/esposo/irma/irmao/mae/pai/filho/filha/amiga/amigo/namorado/namorada .. @no .. cheg{ou,aram}/
        veio
    @no .. posso/consigo .. atender/falar/ligar
    roub{aram,ado,ou}/furtaram/perdi .. meu/minha? celular/carteira/carro/moto/bolsa/documento/documentos/cartao
    baratas/barata/ratos/formigas .. cozinha/casa/apartamento/quintal
    dedetiza{m,r,cao}
    @no @passed* golpe/fraude/enganacao
    pago/pagar/pagamento .. em dobro
    alergi{a,co,ca} a
    zero @trouble
    sou/somos/trabalho/e .. advogad{o,a,os}
    trabalho n{o,a} procon/tribunal/delegacia/policia
    demora{,m} .. muito/mt/mto/quanto $ ?
    garantia .. contra? defeito{,s}
    contra defeito{,s}
    falt{a,am} .. @n @time
    saco{,s} .. de lixo
    @no .. me? reclam{o,ar,ando}
    @no .. posso/da/tenho .. reclamar/que
    preco .. absurdo
    absurdo de
    antifurto/anti furto/roubo
    seguro .. contra? roubo/fraude/furto
    golpe de
    recuper{ar,acao} senha
    mal posso/vejo
    tudo legal
    mais barata
    qual .. problema $
    @no @passed* @trouble
    @no @passed* cobranca{,s}/reclamacao/queixa
    qualquer .. problema/coisa/duvida/reclamacao
    se/caso .. tiver/houver/der/tem/acontecer/surgir .. algum/um/problema
    tem/teria/seria/ha/vai/haveria/e/da .. algum/um/problema se/em/de/pra/para/eu/com
    tem problema $
    tem/teria/ha algum? problema se/em/eu
    algum problema se/em/eu/para/pra/com
    problema{,s} de pele/coluna/saude/cabelo/visao/sono/matematica/peso/coracao/audicao/joelho/circulacao/
        ansiedade/acne/memoria/ouvido/digestao
    obrigad{o,a}/obg/valeu/vlw/grat{o,a}/agradeco .. ajuda/atendimento/resolver/atencao/reembolso/suporte/
        resolverem
    desculp{a,e,em,as} .. transtorno/incomodo/problema/demora/atraso/atrasado
    pass{o,em} mal? .. cartao
    advogad{o,a} .. indicou/recomendou/amig{o,a}/perto
    meu/um/uma/minha/sou advogad{o,a} .. indicou/recomendou/e/amig{o,a}/disse/sou
    escritorio .. advogad{o,os,a}
    muito/mto/mt/super/bem/tao/que/q/achei/eh/e/foi/ficou/mega/bastante/mais/seria/acho/ta/tava/nossa/demais
        legal
    legal ne/demais/hein/kkk/kk/obrigad{o,a}/obg/valeu/a/o/d{a,o}/esse/essa/gostei/amei/saber/que/vou/viu/ver/
        mesmo/entao/pra/pessoal/tbm/tambem/meu
    processo seletivo/de/para/e/do
    como/qual .. processo
    processo d{e,a,o}
    em processo
    livro de reclamacoes
    quanto/qto/qnt/como/vcs/voces/que/q .. cobr{a,am,ando}
    cobr{a,am} .. taxa/entrega/por/frete/pelo/quanto/a/mais/extra
    tem/ha cobranca/taxa .. de/extra/por
    taxa .. cobranca
    forma{,s} de cobranca
    endereco de cobranca
    bebida{,s}/agua/cafe/cerveza/clima/suco/cha/doce/acai/sanduiche/tempo .. fri{o,a,as,os}/gelad{o,a,as,os}
    carro{,s}/celular{,es}/livro{,s}/roupa{,s}/movel/moveis/iphone{,s}/seminovo .. usad{o,a,os,as}
    est{a,ao}/ta/tao/estarao/fica .. abert{o,a,os,as} .. $/hoje/amanha/ate/domingo/agora/sabado/feriado
    ta/esta/estao/estou/fica aberto/aberta
    numero/chat/grupo/pessoa/conversa/contato/mensagem/janela .. errad{o,a}
    foi mal
    desculp{a,e}/ops/eu/me/mandei/digitei/escrevi/coloquei .. errad{o,a,ei}
    @no .. ta/esta/foi/fica/seria mal/ruim
    nada .. cheg{ou,ar} .. quebrad{o,a}
    cheg{ou,aram} .. certinho/certo/bem/perfeito/tudo/direitinho/rapido/inteiro .. $/obrigad{o,a}/obg/amei/e/
        valeu/gostei
    @no .. falt{a,ou,ando} nada/mais
    falt{a,am} .. muito/pra/para/pouco/confirmar/pagar/algo/# @time/mais
    quanto/quantos/quantas falta{,m}
    o que falta{,m} .. pra/para/pagar
    sem falta
    vou/to/estou/vamos/cheg{o,arei,ar}/desculpa .. atrasad{o,a}/atrasar
    trocar a/o tela ...
    conserta{m,r}/arruma{m,r}/troca{m,r}/compra{m,r}/conserto/reparo/troca .. tela/celular/quebrad{o,a,os}/
        trincad{o,a}/rachad{a,o}
    tela quebrada/trincada .. quanto/valor/preco
    @no .. e/seria/parece golpe
    e/isso golpe
    certidao/delegacia .. perto
    perto d{a,o,e} .. delegacia/policia/tribunal/forum
    corte .. cabelo
    cabelo .. curto/longo/corte/liso/cacheado
    produto{,s} pra/para cabelo
    numero/documento/nota .. de/do? processo
    meio legal
    reacao alergica .. pode/causa
    bo{m,a}
    ta ruim
    ruim de
"""

MENTIONS = """
    contrat{am,ando}/procur{am,ando}/vaga{,s}/emprego .. gente/pessoa{,s}/atendente/atendimento/suporte
    suporte de/pra/para/lombar
    pessoa de contato
    tem alguem n{o,a} .. loja/salao/clinica/local/obra/portaria
    agradec{o,ida,ido}/grat{o,a} .. ajuda
    agente/corretor/representante/operador de/da/do/imobiliari{o,a}/saude/comercial/autorizado/turismo/viagem
    sou/e/trabalho/somos/virar/ser/como/vaga um/uma/de/como/pra/o/a? agente/atendente/advogad{o,a}/gerente/
        corretor/representante/consultor/operador
    vaga{,s}/emprego/curriculo/salario .. atendente/operador/gerente/vendedor/agente/suporte
    vc/voce/isso/aqui/ce e/eh um? robo/bot/humano/pessoa/atendente/maquina
    fal{ei,amos,ou,ava}/convers{ei,amos,ou}/tratei .. com .. @person
    atendente/pessoa/gerente/vendedor{,a}/consultor{,a}/moca/moco/rapaz/agente/alguem/menina/suporte .. disse/
        falou/informou/confirmou/atendeu/ajudou/passou/explicou/mandou/avisou/prometeu/indicou/foi
    disse/falou/informou/atendeu .. atendente/moca/gerente/vendedor{,a}
    horario{,s}/telefone/email .. de/do/da? atendimento/suporte/sac/atendente
    atendimento .. horario/abre/fecha/funciona/sabado/domingo/otimo/excelente/maravilhoso/nota/perfeito/rapido/
        bom/nota
    otim{o,a}/excelente/bom/melhor/maravilhos{o,a}/perfeit{o,a}/parabens/nota/adorei/amei .. atendimento/
        atendente{,s}/suporte/servico
    qual/como .. atendimento/suporte .. funciona/horario/e
    atendimento presencial/domiciliar/online/infantil/odontologico/medico/sabado/domingo/a/por/em
    pode{m,}/consegue/poderia/da/consegue .. me/nos ajud{ar,a} .. a/com/em/escolher/n{o,a}/nisso/pra/sobre/uma/
        isso
    me ajud{a,e,em} .. a/com/em/escolher/n{o,a}/decidir/entender/nisso
    ajuda/ajudar/ajude .. a/com/em/n{o,a}/pra escolher/decidir/encontrar/o/a/meu/minha/uma/um/isso/entender/
        tamanho
    ajuda com/para/pra/n{o,a}/em
    obrigad{o,a} .. pela? ajuda
    @no .. preciso/precisa/precisam/quero .. lig{ar,ue}/falar
    @no .. me lig{a,ue,uem,ar}
    te/lhe/vos/eu/ja/depois/vou/la .. lig{o,ar,uei,amos}
    lig{ou,aram,aste} .. ontem/ja/antes
    me lig{ou,aram}
    me .. lig{a,ue,ar} .. quando/qdo/qnd/se chegar/estiver/sair/for/tiver/chegando
    entregador/motoboy/motorista .. me? .. lig{a,ue,ar,ou}
    outra/cada/por/segunda/mais/terceira/mesma/quantas/alguma pessoa{,s} .. pode/por/a/retirar/buscar/pegar/vai/
        $/mais/extra/e
    # pessoa{,s}
    quantas/por/cada pessoa{,s}
    pessoa fisica/juridica
    pessoas juridicas
    pra/para # pessoas
    qual/que agente/atendente/vendedor
    amo/amei/adoro/adorei/gostei/gosto/elogio/elogiar .. atendimento/atendente{,s}/suporte
    reclama{cao,r}/queixa/denuncia/reclamando ... sobre/contra/d{o,a} .. @person
    @talk @with .. meu/minha/meus/minhas/ele/ela/marido/mae/esposa/esposo ..
    vou/irei/ainda/vamos @talk @with ... e/te/casa/antes/primeiro/aviso/retorno
    @talk @with alguem .. casa/familia
    agradec{e,a,o}/agradecer/abraco/parabens/obrigad{o,a} .. gerente/atendente/vendedor{,a}/equipe
    meu/minha gerente/chefe/supervisor{,a}/vendedor{,a}/patrao
    atendente/vendedor{,a}/gerente/operador{,a}/agente/funcionari{o,a} .. foi/e/era/estava/nao/n/mal/
        grosseir{o,a}/mentiu/sumiu/mandou/ta/esta/que/chega
    pessim{o,a}/horrivel/mal .. atendimento/atendente/suporte/funcionari{o,a}
    pessoa .. responsavel/retirar/buscar/vai/que
    motoboy/entregador/motorista .. me lig{a,ue,ar} ..
"""

MACHINES = """
    bot/robo/robozinho/chatbot ... ..
    pessimo/inutil/burro/horrivel .. bot/robo/chatbot
    @no .. entend{e,eu,em}/ajud{a,ou,am} .. nada/bot/me $
    menu/opcoes/mensagens .. @no .. serve{m,}/funciona{m,}
    mensagem/mensagens automatica
    mesma resposta
"""

REFUSALS = """
    @no .. quero/queria/preciso/desejo/pretendo/precisa/precisam/gostaria/vou/penso/quis .. de?
    nem quero/preciso
    sem .. precisar/querer
    @no e? .. necessario
    em vez de
    prefiro nao
    antes de
    @no estou/to/tou querendo/pedindo/procurando
"""

SUPPOSITIONS = """
    se cheg{ar,arem}/vier/der/tiver/houver/estiver/ficar/quebrar/nao/eu/o/a/acontecer/for/faltar/por/vcs/voces/
        precisar
    caso
    e se
    o que acontece
    quando cheg{ar}
    costuma{,m}
    vcs/voces .. trocam/aceitam/devolvem .. se
"""

SOLUTIONS = """
    & ^ .. amei/adorei
    resolveu/resolveram/arrumou/arrumaram/consertou/solucionou em/rapido/na/pra/tudo/rapidinho
    problema{,s} .. resolvid{o,a,os}/solucionad{o,os}/resolv{eu,emos,ido}
    @fixed .. o/meu/esse/do? problema{,s}
    ja .. @fixed
    @fixed .. obrigad{o,a}/obg/valeu/ja/$/agora/vlw
    foi .. @fixed
    deu .. certo
    ja .. chegou/funcionou/funciona/caiu/entrou/apareceu/voltou/liberou/desbloqueou .. obrigad{o,a}/obg/valeu/$/
        agora/aqui
    agora .. funciona/funcionou/foi/deu/entrou
    tudo .. certo/resolvido/ok .. agora/obrigad{o,a}/obg/$
    pode deixar/ignorar/desconsiderar
    deixa .. pra la
    acabou de chegar
    par{ou,aram} de vazar/pingar/doer/apitar/travar/falhar
    @no .. vaza/pinga/trava/faz mais/barulho
    vazamento/mancha/barulho/cheiro/defeito/goteira/erro .. sumiu/sumiram/saiu/acabou/parou
    nada demais/grave/serio
    & ^ tudo bem/certo/otimo
    @no .. tem problema/importa
    sem problema{,s}
    & ^ .. valeu a pena
    @no .. comprei/pedi/paguei ainda
    ainda @no .. comprei/pedi/fechei
"""

SETTLED = """
    vi/vimos .. estorno/reembolso
    obrigad{o,a}/obg/valeu/agradec{o,ida,ido} .. por/pelo/pela .. devolver/devolverem/reembolsar/reembolsarem/
        estornar/
        devolucao/estorno/reembolso .. dinheiro/valor?
    estorno/reembolso/dinheiro/valor .. caiu/recebi/recebido/chegou/creditado/processado/apareceu/voltou/entrou/
        feito/ok ..
    recebi/recebemos/caiu/chegou/apareceu/voltou/entrou .. meu/o .. reembolso/estorno/dinheiro/valor de? volta?
    reembolso/estorno obrigad{o,a}
    me? reembols{aram,ou}/estorn{aram,ou}/devolveram/devolveu/ressarciram .. me/nos/dinheiro/valor/ontem/hoje/
        obrigad{o,a}/certinho/rapido/$
    fui reembolsad{o,a}
"""
AWAITED = """
    quando cade kd quero queria preciso ainda exijo se onde so metade gostaria prometeram era pra para
"""
NEVER = """
    nada/nenhum{a} .. nunca .. @bad/@trouble/@flaw
    nunca/jamais .. tive/tivemos/tivesse/vi/vimos/encontrei/passei/deu/deram/precisei/reclamei/houve/ouvi/
        aconteceu/senti
    nunca/jamais .. .. nada/nenhum{a}? .. @bad/@trouble/@flaw/@awful
    nunca/jamais .. atras{ou,aram}/decepcion{ou,aram}/falh{ou,aram}/err{ou,aram}/falt{ou,aram}/estrag{ou,aram}/
        quebr{ou,aram}/demor{ou,aram}/vaz{ou,aram}
    nenhum{a} vez .. atras{ou,aram}/falh{ou,aram}/err{ou,aram}/@bad
"""
UNHEARD = "ate tao tanto tamanh{o,a} pior assim igual retorno resposta"
ELSEWHERE = """
    outr{o,a,os,as}/ultim{a,o}/antig{a,o}/concorrente .. loja{,s}/empresa{,s}/lugar{,es}/restaurante{,s}/site{,s}/
        vendedor{,a}/fornecedor/salao/marca/oficina
    concorrencia/concorrente{,s}
"""
OURS = "sua seu suas seus vossa vossas"
SECURITY_SIGNS = "camera{,s} alarme{,s} cadeado fechadura cofre seguro rastreador porta{,s} sensor"
SECURITY = """
    roubo{,s}/furto{,s}/fraude{,s}/ladr{ao,oes}
"""
ILLNESS_SIGNS = (
    "remarcar reagendar adiar desmarcar horario consulta hoje amanha tarde atrasar atrasad{o,a} mudar"
)
ILLNESS = """
    meu/minha/nosso/o/a? filho/filha/marido/esposa/mae/pai/bebe .. fic{ou,amos}/esta/ta/adoeceu .. doente?
    fiquei/ficou/estou/to/adoeci doente?
    meu/minha carro/moto/bike/onibus/pneu .. quebrou/furou/pifou/estragou/quebrad{o,a}/parou
"""
SIGNS = """
    nao vc vcs voce voces tem muito mto obrigad{o,a} obg quero vou isso entao gostei tambem tbm loja oi uma meu
        minha
    preco pra pro eu demais amei adorei achei bom boa noite kkk kkkk valeu vlw blz beleza quanto ficou tao dois
        pessoal gente
"""
"""Words that are none in English or Spanish, with some that are rare there."""
HOMOGRAPHS = """
    legal
    robo{,s}
"""

REPAIR_SIGNS = """
    dedetizam arrumam conserta{,m,r} conserto{,s} arruma{,m,r} trocar reparo reparam reparar assistencia manutencao
"""
REPAIRS = """
    @thing .. @bad/trincou/quebrou/rachou
    quebr{ou,ada,ado,adas,ados}/trinc{ou,ada,ado}/rach{ou,ada,ado}
    quebrou/trincou/rachou .. a/o/minha/meu
    @no .. liga/carrega/funciona/pega/gela
    parou de funcionar
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
