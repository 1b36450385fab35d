"""What is said in English. The notation is that of `patterns.py`; a common typing error is a form like others."""

from __future__ import annotations

from actors.sense.lists import Lists, Topic

_NOT = """
    dont didnt doesnt havent hasnt hadnt isnt wasnt arent aint not never wont cant cannot couldnt couldn wouldnt cnt
    didn hasn havn
"""
DENIALS = f"{_NOT} without no nobody noone nothing nor zero"

CLASSES = {
    "flaw": """
        scratch scratches flaw flaws defect{,s} damage{,s} delay{,s} mistake{,s} error{,s} fault{,s} dent
        crack hiccup trouble{,s} fuss
    """,
    "ever": "never nvr",
    "no": "no without zero any nor dont didnt doesnt havent hasnt hadnt isnt wasnt arent aint not never",
    "not": _NOT,
    "passed": """
        once ever even one my kind sort type single solitary whatsoever your you from in us we i
        a/an/any/the/really/actually/such/other/more/further/major/big/real/serious/single/much/of/with/have/having/had
        has/got/get/see/find/find/found/be/been/there/is/was/it/its/that/thats/this/extra/additional/hidden/delivery
        shipping/service/slightest/at/all/particular
    """,
    "trouble": """
        problem{,s} issue{,s} complain{t,ts,} complaint{,s} dispute{,s} prob{,s} prblm problm probelm isue
    """,
    "demand": "refund{,s,ed,ing} refnd refound compensat{ion,ions,e} lawyer{,s} attorney{,s} legal legally",
    "person": """
        agnet agnt agetn mangaer humen persn agent{,s} representative{,s} rep reps human{,s} person people
        someone somebody someon smone sum1 some1 anyone anybody operator manager{,s} maneger manger
        supervisor{,s} owner boss staff employee{,s} colleague{,s} specialist advisor adviser consultant
        salesperson salesman representive human_being support csr
    """,
    "team": """
        customer_service support sales service customer billing accounts management reception team staff
        office department
    """,
    "n": "# a an one two three four five six several few couple half many 2nd",
    "talk": "talk speak spk speek chat tlk discuss",
    "with": "to with w wit 2",
    "a": """
        a an the your ur one some any my real actual live human other another different proper of from
        customer sales technical senior
    """,
    "me": "me us",
    "bot": "bot bots robot robots machine machines ai automated automatic chatbot computer autoreply",
    "now": """
        now please pls plz plss plse asap urgent urgently immediately today tomorrow back quickly again ty
        thanks thx !! # someone somebody anyone on at
    """,
    "thing": """
        order{,s} package parcel delivery item{,s} product{,s} food meal pizza burger shipment box bag phone
        laptop screen dress shirt shoes cake flowers machine device app website card account room payment
        money ticket booking reservation invoice bill car fridge ac watch bottle package stuff things one it
        this that everything half size color colour part parts medicine driver courier
    """,
    "strong": """
        broken damaged smashed cracked torn ripped defective faulty rotten mouldy moldy spoiled spoilt stale
        undercooked burnt incomplete leaking shattered counterfeit scratched squashed unusable missing
        inedible faded shrunk
    """,
    "pest": """
        bug bugs insect ant ants worm cockroach cockroaches roach roaches rat rats mouse mice maggot weevil
        weevils bedbug mold mould
    """,
    "they": """
        you u they he she driver courier guy man staff employee waiter technician cashier worker cleaner lady
        nurse doctor receptionist agent manager company hotel store someone somebody rider
    """,
    "mine": "my our the this that your ur",
    "came": """
        arrived arived came receiv{e,ed} reciev{e,ed} recev{e,ed} recived got delivered sent shipped showed
        turned
    """,
    "bad": """
        broken damaged smashed cracked torn ripped defective faulty rotten mouldy moldy spoiled spoilt stale
        expired cold raw undercooked burnt melted empty missing incomplete wrong dirty used opened leaking
        shattered dead fake counterfeit scratched stained bent crushed late squashed wet ruined dented busted
        frozen disgusting unusable worng
    """,
    "awful": """
        worst terrible terible awful horrible bad disgusting poor pathetic lousy rubbish shocking appalling
        useless disappointing unacceptable unprofessional shit crap
    """,
    "is": """
        is are was were its s been be being looks look seems feels totally completely all very so already
        still half
    """,
    "time": "hour{,s} hr{,s} hrs day{,s} week{,s} wk{,s} month{,s} minute{,s} min{,s} year{,s} ages forever",
    "account": "account acount acc profile login card wallet number app page",
    "solve": "solved fixed sorted resolved settled gone cleared over works worked working done",
    "be": """
        is was are were has been it its s been got already all now finally i we you u they have had that thats
    """,
}

HUMAN = """
    ^ sos $/!!
    anybody/anyone/somebody/someone human/real/actual
    give .. me/us a? bell/buzz/shout/tinkle
    with one of you/your/ur
    @person .. give .. me/us a? bell/buzz/call/ring/shout
    over the phone with
    agnet/agnt/agetn
    transfer/connect/forward/redirect/escalate me/us $/@now
    give/gimme/make/drop .. me/us? a? call
    want/need/like/can/may .. to? call you/u/them/$
    cust/customer srvice/svc/service/serv/rep/reps
    be/get connected/transferred/put with/to/through
    put .. person/human/manager/someone/somebody on
    let me/us @talk @with
    is .. available/free/there/around to @talk
    anyone/anybody/someone/somebody from .. team/support/staff/office/company/sales
    who .. can/could/do/should .. call/contact/@talk
    member of your/ur/the team/staff
    how .. contact/reach/call .. you/customer_service/support/team/manager
    your/ur/the phone/contact number .. to call/@talk
    want/need/like/wanna .. @talk $
    want/need/like/wanna .. @talk now/please/pls/plz/urgently/!!
    @talk .. over/on/by phone/call
    can/could/let/lets/want/need/like/prefer/please .. have/get/schedule/arrange/book/set/make/do/hop/jump/a/on
        .. call with/please/$/about/tomorrow/today/now/instead
    any/available/free staff/agent/human/humans/person/one/colleague/operator .. available/free/there/online/
        around/here/to
    staff/agent/human/operator/colleague/representative .. available/free/online
    @talk # @a* @person/@team
    help/assistance/answer/reply/service/support/response from @a* @person
    ^ please/pls/plz/plss/someone/somebody/anyone help !!/me/us/$/please
    someone/somebody/smone/colleague/agent/staff .. call/contact/answer/help/reply/respond/ring me/us/please/
        pls/plz
    colleague/colleagues/someone .. of/from yours/your/the/support/sales
    are/r there no humans/human/people
    someone/person/somebody in charge
    number .. of/for .. @person/@team
    who can/could .. help me/us
    reach .. real/live/a/someone/somebody/actual .. person/human/someone
    rings/ring/calls/phones/telephone me up?
    ^ now? agent/representative/human/operator/person/manager/supervisor/csr $
    agent
    representative{,s}
    operator
    human @now/!!/here/$
    human/live/real/customer support/agent/help/assistance/service/chat/representative/care/rep/operator
    real/actual/live/proper person/human/people/agent/someone/guy
    customer_service
    customer support/care
    support team
    help me/us $
    help me/us @now
    help me/us out
    heelp/hlp me
    ^ help please/pls/plz/!!/$
    ^ please/pls/plz/plss help $
    i/we/really need help $
    i/we/really need help @now
    can/could some1/someone/somebody/anyone/anybody help me/us
    is/are there some1/someone/somebody/anyone/anybody help
    @talk @with? @a* @person
    @talk @with .. @person/doctor/dr/dentist/chef/teacher/trainer/accountant/pharmacist/nurse/secretary/stylist/
        mechanic/technician/engineer/designer/captain
    @talk @with the/your/ur/an/a
    someone/somebody/anyone/person/human .. i/we .. @talk/call/contact
    @person now?/please/pls/plz/plss
    want/need/wanna/prefer/give/get/like/have/wants ... .. manager/supervisor/boss/owner
    one/any/some of your/ur/the @person/@team/guys/colleagues/people .. call/contact/help/answer/reply/speak/
        talk/get/ring/text/message
    word/conversation/chat/meeting with @a* @person/chef/doctor/@team
    @person .. contact/number/phone
    phone call/conversation with
    call with .. @person
    deal with @a* @person
    with @a* manager/supervisor/human/owner
    ask .. to call/contact/ring/phone me
    ask .. for a? manager/supervisor
    who/whos/where .. the/your manager/owner/supervisor/boss
    want/need/prefer/wanna/like .. person/human
    @talk @with @a* @team
    @talk @with @team team
    @talk @with @mine? @person
    @talk @with him/her/them/u/you directly/instead
    who can/could/do i @talk @with
    who should/to i? @talk @with
    touch/contact with @a* @person/@team
    contact @a* person/human/manager/someone
    speak/talk on/over/by? phone
    want/need/wanna/wants/like/prefer/get/give/bring/gimme/find/send/have .. human/manager/supervisor/operator/
        representative/agent
    want/need/wanna/like/prefer/get/give/bring/gimme/find me? us? a/an/some/the? real/live/actual person/human/
        someone
    get/give/find/send/gimme/pass me someone/somebody/smone/a? person
    need/want someone/somebody/smone/sum1/some1 to
    need/want/have a? someone/somebody/person .. call/contact/help/answer/reply/assist/phone/ring me/us
    need/want/have the/your manager/owner/boss/supervisor
    can/could/may/will/would/please/pls/let/have/is/want/need/if someone/somebody/smone/sum1/some1/anyone/
        anybody/agent/manager/person/@team .. call/contact/help/answer/reply/assist/phone/ring/message/text/
        speak/talk/get
    someone/somebody/smone/anyone .. call/contact/ring/phone me
    someone/somebody/smone/anyone .. get back to me
    call/ring/phone me/us $
    call/ring/phone me/us @now
    call/ring/phone me/us in/this/after/before/between/about/regarding/to/i/my/so/0
    give me/us a/an? call/ring/buzz/callback
    call me/us? back
    callback
    call back please/pls/request/!!
    can/could u/you/i call me/us
    can/could i? get/have/request/schedule a/an? call/callback
    transfer/connect/forward/redirect/escalate/switch/hand/direct me/us/this/it/my .. to/with/over
    transfer/connect/pass/put me/us .. through/to/with/on/over
    put/pass me through
    get me @a* @team
    is there/this/it .. human/person
    is anyone/anybody/somebody/someone there/here real/alive/human
    is there a/an/any real/actual/live
    are/r you/u/there a? real/any humans/person/people/human @now/!!
    any humans/human there/here/around/available
    not @bot
"""

INSISTED = """
    not @a* @bot
    human/person/someone not @a* @bot
    not @bot
    no @a* @bot
    no more @bot
    @not want/wanna/like/need ... @bot
    stop/enough/tired/sick/fed/hate .. @bot
    instead of @a* @bot
"""

DEMANDS = """
    vomited/vomiting/diarrhea/diarrhoea ... after/from/since/food/eating/your
    legal{,ly}
    lawyer{,s}/attorney{,s}/solicitor
    refund{,s,ed,ing,able}/refnd/refound
    compensation{,s}/compensate{,d}
    dispute{,s,d}/disputing
    chargeback
    charge back
    billing
    su{e,ing} you/u/your/them/the/this
    to/will/gonna/ill/might/shall/i sue
    take .. court
    see .. in court
    going .. court
    small claims
    consumer protection/rights/court/affairs/authority
    trading standards
    call{,ing,ed}/go{,ing}/report{,ing}/inform/to/the/with/involve/get/contact .. police
    report{,ing} you/u/this/your/ur .. !!
    report{,ing} you/u/your/ur/this
    report{,ing} .. authorities/authority/ministry/police/bank
    ill/will/gonna/going .. report/expose/review
    scam{,med,mer,mers,ming}
    fraud/fraudulent/fraudster{,s}/cheat{er,ers,ed,ing}/thie{f,ves}/crook{s,}/ripoff/swindle{d,r,rs}/conned
    con artist{,s}
    rip{ped,} .. off
    stole{,n} ... money/card/it
    you/u/they/people are/r liars/liar/thieves/crooks
    liars
    money back
    cash back now/please
    my money returned/back
    return/give/send/want/need/get/where/wheres .. my/our/the money/cash/payment
    money .. not returned
    reimburse{,d,ment}
    charged/billed/debited/deducted/paid ... twice/double/again/extra/wrong/wrongly/incorrectly/incorrect/more/
        without
    charge{d,s} ... # times
    took/taken/take/deducted/withdrew .. payment/money/amount .. #/twice .. times/from
    double/wrong/wrongly/incorrect/incorrectly/unknown/unauthorized/unauthorised/over/extra/duplicate/strange/
        suspicious charge{d,s}/payment/billed/billing/transaction
    overcharg{ed,e,ing}/overbilled
    charge{s,d} ... on/from my .. card/account/statement
    why .. charged
    you charged me
    i was/got charged
    money/amount ... taken/deducted/debited/withdrawn/gone/left
    took/taken/deducted/withdrew/debited .. money
    invoice/bill/receipt/total .. wrong/incorrect/mistake/error/higher/off
    wrong/incorrect .. invoice/bill/amount/price/total
    mistake/error in/on/with .. invoice/bill/charge
    bill/invoice .. doesnt/not/dont match/right/correct
    food poison{ing,ed}/poisened
    poison{ing,ed}
    i/we/kids/family/son/daughter/wife/husband/he/she/mother/all .. got/gotten/getting/fell/became/been/feeling
        .. sick/ill
    sick ... after/from/eating
    am/im/is/are/was/were/felt/feel/feels/very/so/seriously/both/family/daughter/son/kids/wife/husband/mother ill
        ... after/from/eating
    ill after/from eating
    error/mistake ... bill/invoice/charge
    made ... sick/ill
    threw/throwing up
    allergic/bad reaction ... to/from/after/all
    hair/insect/bug/cockroach/worm/worms/fly/plastic/glass/stone/metal/nail in .. food/soup/salad/meal/burger/
        pizza/sandwich/rice/it/my/the/dish/cake
    found ... hair/insect/bug/cockroach/worm/worms/mold/mould
"""

TROUBLES = """
    arrived/came/delivered/got/received .. with? only? half/part of? the/my/our
    paid/pay/ordered .. for? # .. and .. got/received/came/arrived/delivered only/just/one/a/#/half
    smells/smelled/stinks/reeks .. like/of smoke/mold/mould/sewage/rotten/urine/sweat/dog/gas/burnt/fish/chemicals
    still says/shows/showing/saying/marked .. unpaid/pending/due/processing/owing
    has/had/have/with/is/there a/an/# .. hole/holes/tear/tears/rip/stain/stains/dent/dents/crack/cracks/chip/
        chips in/
        on .. sleeve/screen/back/front/side/pocket/fabric/middle/it/leg/lid/top/bottom/glass/door
    works/worked/lasted .. one/a/#/single day/days/week/hour/hours/month .. died/stopped/broke/dead/only
    @they .. shouting/yelling/screaming/swearing/cursing .. at/my/me/us
    paid .. still/shows/says .. unpaid/pending/due/owing
    zip/zipper/button/handle/strap/sole/heel/lid/wheel/knob/screen/wire .. came/fell/broke/snapped/popped/peeled ..
        off/out/loose/first/after/$
    still nothing
    in .. pieces/bits/halves
    into pieces/bits
    left .. .. flooded/dirty/broken/soaked/damaged/ruined/scratched/filthy
    flooded
    ordered/asked/paid .. .. .. and a/an/the .. one? came/arrived/showed/turned
    @not .. add up/match/tally
    & ^ .. .. card/bank/statement/receipt says/shows
    turns/turn/shuts/switches/keeps/goes .. off/on/down .. itself/own/randomly
    spelled/spelt/printed/written .. wrong
    @they .. broke/damaged/ruined/destroyed/scratched/stained/lost/burnt/burned .. my/our
    @account .. is/was/been/got/has/are/gets/keeps .. blocked/locked/suspended/hacked/disabled/banned/
        deactivated/frozen/closed/restricted/stuck/declined/rejected
    complain{t,ts,ing,ed}
    item/order/food/stuff/package/meal @is @is* @bad
    it/this/everything/that @is @is* @strong
    been @n @time
    been over/almost/about/nearly @n @time
    over @n @time .. still/now/already/late/waiting
    @thing .. @not ready
    & ^ you/they/u .. sent/gave/brought/delivered/forgot/charged
    & ^ i/we .. got/received nothing/wrong
    ordered/asked/paid ... and .. you/u/they .. sent/gave/brought/forgot
    @they didnt/wouldnt .. let/show/give/come/bring/include/add/apply/deliver/fix/finish/clean/send/honor/accept
    gave/caused .. me/us/my .. rash/burn/burns/allergy/infection/bumps/itching/swelling/blisters/pimples/pain
    got/developed .. rash/burn/burns/infection/bumps/itching/swelling/blisters .. from/after
    pain/rash/burn/burns/itching/swelling/bumps/blisters .. since/after/from your/the/this/using
    hurt/injured/burned/burnt me/us/my/him/her
    infected/swollen/bleeding .. after/since
    how many times ... ask/call/write/message/tell/repeat/remind/contact/say/explain/!!
    second/third/fourth/fifth/#/10th/nth time .. ask/asking/write/writing/call/calling/contact/message/
        messaging/tell/happen/happens/late/wrong/complain
    third/fourth/fifth time
    cancelled .. without/nobody
    @they .. shouted/yelled/screamed/insulted/cursed/swore/lied/refused/hung/threw/dropped/ignored/laughed/
        harassed/touched/hit/pushed/threatened/disappeared .. me/us/my/at/to/up/it/$
    @they .. cheated/tricked/misled/deceived/fooled/robbed/ruined/wasted/messed/screwed .. me/us/my/up/our/it/
        everything/$
    @they .. stole/stolen/steal
    sold .. me/us .. fake/expired/used/wrong/broken/old
    gave .. my/our .. to/away
    error{,s}
    @not coming/opening/loading/responding/honored/honoured/refunded/processed/updated/cooling/heating/cleaned/
        connecting/charging/registering/sending/receiving/accepting/delivered/dispatched/moving/showing
    @thing/otp/code/sms/email .. @not .. come/coming/arrived/received/ready/fresh
    keep{,s} charging/calling/sending/billing/saying/asking
    price{,s}/amount/total/bill/rate .. not/different/higher/isnt/doesnt/arent .. match/menu/website/what/
        agreed/shown/same
    hidden/unexpected/surprise/strange/extra fee{,s}/charge{,s}/cost{,s} on
    no answer/response/reply
    written/wrote/called/emailed/messaged/texted/asked/contacted .. # times/emails/messages/calls/x
    @thing @strong
    @n .. missing
    @strong .. item/product/package/order/food/meat/fish/chicken/milk/box/phone/screen/when/on/and/upon/arrival/
        again
    spoiled/spoilt/rotten/moldy/mouldy/defective/faulty
    expired .. product/medicine/food/milk/item/date/stuff
    demand .. explanation/answer/manager/solution
    my/consumer rights
    one/zero/bad/negative/single star{,s}/review
    leave .. # star{,s}/review
    false/misleading advertis{ing,ement}
    faded/shrunk/shrank/peeled/ripped/discolored/tore/melted .. after/in/when/off/on/the/from
    renewed/subscribed/enrolled/signed/cancelled/changed .. without
    @not .. authori{ze,zed,se,sed}/approve{d,}/recogni{ze,se,zed,sed}/consent .. payment/charge/transaction/it/
        purchase/that/this/order
    there is/are/was/were .. @pest
    @pest in/inside/all/on/everywhere
    found .. @pest
    was/were .. supposed/meant .. to/for
    was for yesterday
    came/arrived/delivered too? late
    flight/booking/reservation/order/appointment was/got/been/is suddenly? cancelled/canceled
    not/never .. again .. order/buy/your/you
    unfair
    gone wrong
    went wrong
    bad/poor/awful/terrible quality/condition/smell/taste/job
    you/u/they/he/driver/courier/kitchen/chef/waiter forgot
    you/u/they/he/she .. promised
    been/was/got/getting/were/being/im/still charged/billed/debited
    charged .. for .. didnt/not/never/dont
    i/we/and/only/still/just got/received/recieved nothing
    how long .. !!/more/still
    why .. on/in .. bill/invoice/account/card/statement/receipt
    extra/more .. on .. my/the/our .. bill/invoice/account/card/receipt
    waited/waiting .. .. @n @time
    since monday/tuesday/wednesday/thursday/friday/saturday/sunday/yesterday/morning/last/noon !!
    smell{s,ed,ing} $
    smell{s,ed,ing} .. bad/awful/terrible/horrible/rotten/weird/disgusting
    is/are/was/were .. dirty/filthy/disgusting/rotten/inedible/broken/damaged/defective/faulty/mouldy/moldy/
        expired/spoiled
    no one .. tells/told/tell/informs/informed/knows/knew/explains/explained/updates/updated/is/was/reads/shows/
        wants/can/did/solved/fixed
    nobody/noone/none .. tells/told/tell/informs/informed/knows/knew/explains/explained/updates/updated/reads/
        shows/wants/did/solved/fixed/is/can
    someone/somebody used/hacked/stole/took my
    without .. my/our permission/consent/knowledge/approval/authorization
    not happy/satisfied/good/fair/acceptable/ok/okay/right $
    got/received/sent .. nothing
    still not/isnt/hasnt/havent/didnt/waiting here/!!/$/working/fixed/arrived
    fell off/apart
    said/says/marked/shows/status .. delivered .. not/didnt/havent/nothing/never/no
    wrong{ly} .. diagnosis/diagnosed/treatment/tooth/size/sent/item/order
    problem{,s}/prblm/problm/probelm/problemo
    issue{,s}/isue/isues
    charge
    charges
    @came .. @bad
    @came .. in @bad pieces/condition/state
    @came with/and/but/all/completely .. broken/missing/crack/cracks/scratch/scratches/hole/stain/stains/damage
    @mine @thing @is* @strong
    food/meal/pizza/order/package/delivery/burger/soup/parcel .. @is @is* @bad
    @mine .. @thing @is @is* @strong
    @thing .. is/are/was/were/its missing/broken/damaged/defective/expired/rotten/spoiled/wrong/faulty/fake
    # .. item{,s}/piece{,s}/thing{,s}/product{,s}/thing/pieces .. missing
    missing @a? # item{,s}/piece{,s}/thing{,s}/product{,s}/part{,s}/parts
    missing .. from/in my/the/our .. order/box/package/bag/delivery
    missing item/items
    broke/broken/tore/snapped/cracked after/in/within/already/on/when/again/as/off
    @thing broke/snapped/exploded/died/collapsed
    fell apart/off
    falling apart
    @not/stopped/stop/wont/refuse{s,d}/quit .. work{,ing,s}/function/charge/charging/turn/start/open/fit/load/
        connect
    keeps/keep flickering/crashing/freezing/restarting/failing/breaking/disconnecting/shutting/turning/saying
    crash{es,ed,ing}/malfunction{s,ing}
    something/smth is wrong with/!!/$
    what is/the wrong/hell/heck with you/this/your
    there is/was/are something/sth wrong
    wrong item{,s}/order/size/color/colour/product{,s}/thing{,s}/one/address/model/food/pizza/meal/dish/flavor/
        flavour/quantity/charger/part/name/date
    @came .. @mine? @a? wrong/different/worng
    different from .. photo/picture/description/ordered/website
    not .. what i/we order{ed,}/asked/bought/paid/wanted
    nothing like .. photo/picture/description
    isnt/not like .. photo/picture/description/website
    @not .. @came .. yet/still/until/anything/my/our/the/it/!!/$
    @not .. arrive{d,}/arrived/arived/deliver{ed,}/show{ed,n}/receiv{e,ed}/reciev{e,ed}/recived/recev{ed,e}/
        turned/reach{ed,}/shipped
    havent/hasnt/didnt/never/not got/get/gotten .. my/our/the/it/order/anything/package
    nothing ..  arrived/come/came/shown
    nothing .. arrived/came/received/happened/yet/!!
    still nothing/havent/hasnt/not/didnt .. !!
    still no order/package/delivery/sign/news/update/response/reply/answer/parcel/food/solution/refund/money/one
    still waiting
    waiting .. for/since .. # @time
    waiting .. for/since .. hours/days/weeks/months/ages/hour/week/yesterday/monday/tuesday/wednesday/thursday/
        friday/saturday/sunday/morning/last
    been waiting
    i/we waited ... # @time
    # @time .. late/delayed/overdue/waiting/already/no/and/ago .. !!
    # @time late/delayed/overdue/behind
    # @time and/still/now/already .. no/nothing/still/not
    its/been/after/for/already .. # @time and/still/no/nothing/now/already .. nothing/no/still/not/!!
    @mine/is/so/too/very/always order/delivery/package/driver/parcel/flight/food/shipment .. late/delayed/
        overdue
    so/too/very/always/super late
    still/it hasnt/havent/not/didnt arrived/come/moved
    tracking .. hasnt/not/isnt/stuck/doesnt .. moved/moving/updated/updating/change/changed/show
    where/wheres .. order/package/food/delivery/parcel/money/refund/stuff .. !!
    where is/the/s hell/fuck/heck .. order/package/food/delivery/parcel/money
    lost .. my/our/the order/package/parcel/luggage/bag/delivery/shipment
    nobody/noone/none .. answer{s,ed,ing}/repl{y,ies,ied,ying}/respond{s,ed,ing}/pick{s,ed}/help{s,ed,ing}/came/
        come/call{s,ed}/care{s,d}/showed/called/contacted/helping/available
    no one .. answer{s,ed,ing}/repl{y,ies,ied,ying}/respond{s,ed,ing}/pick{s,ed}/help{s,ed,ing}/came/come/
        call{s,ed}/care{s,d}/showed/called/contacted/helping
    no/@not/without .. answer{s,ed,ing}/response/reply/respond{,ing,ed} .. # @time
    no response/reply/answer .. from/since/for/yet/!!/at
    why .. nobody/noone/not/isnt/arent/dont/doesnt .. answer{s,ing}/reply{,ing}/respond{ing,}/help{ing,}/anyone/
        anybody
    why .. no one/body
    why is/isnt anyone/anybody/someone
    why is/are .. taking .. long
    taking/takes/took .. too/so/very/forever long/ages/!!
    taking forever
    you/u/keep/keeps/stop/being/been/are ignor{ing,ed,e} .. me/us/my/messages
    @awful .. service/experience/company/food/quality/store/shop/restaurant/hotel/support/product/delivery/
        attitude/place/treatment/app/staff/customer_service
    service/food/quality/staff/experience/driver/support/product/delivery/waiter/employee/attitude/room/place
        .. is/was/were/are/so/very/really .. @awful/rude/slow/cold/dirty/late/filthy/inedible/tasteless/joke
    rude/disrespectful/insulting/insulted/aggressive
    disappoint{ed,ing,ment}
    dissatisfied/unsatisfied/unhappy/furious/frustrated/frustrating/outrageous/unacceptable/ridiculous/disgrace/
        disgraceful/disgusting/unprofessional
    not/@not .. happy/satisfied/acceptable/pleased with/at/about/!!/$/service
    fed up
    im/am/so/very/really angry/upset/mad/annoyed/pissed
    never .. order/buy/buying/ordering/shop/coming/using/use .. again/from
    waste/wasted .. money/time
    blocked/locked/suspended/hacked/disabled/banned/froze/closed .. my/our .. account/card/number/profile/wallet
    locked .. me/out
    locked/blocked out
    @not/unable/wont .. log/login/access/sign/enter/get .. in/into/account/it/app/my/$
    cant login/access/open/log
    unable to .. pay/login/access/log/use/open/complete
    payment/transaction/order/card/paid .. failed/declined/rejected/stuck
    i/we/already paid .. and/but/still/yet .. nothing/no/not/still/havent/didnt
    paid and/but/still/already nothing/no/didnt/havent/never
    only received/got/came/sent # of/out/instead
    instead of # i/only
    lied/lying/lie to/about me/us
    you/they/driver/courier/delivery threw/dropped/left/ruined/destroyed/damaged/broke/lost ... my/our/the/it/
        him
    ruined/destroyed/damaged my/our
    cancel{led,ed} ... without/by itself/my order/booking/reservation !!
    leak{s,ing}/overheat{s,ing}
"""

HARMLESS = """
    issue{,s} # of/in/from/$
    my/our old/previous/former .. .. died/broke/broken/stopped/dead/cracked/exploded/burnt
    case/cover/glue/filler/cream/paint/treatment/patch/kit/remedy/shampoo/product .. for a/the/my? @bad ..
    your/the competitor{,s}/competition ... ..
    my/our/the .. neighbour{,s}/neighbor{,s}/landlord/boss/teacher/clients/client/guests/tenant/tenants/wife/
        husband ..
        complain{,s,ed,ing,t} .. about/of noise/smell/price/time/heat/dust?
    @not work for me/us/him/her
    monday/tuesday/wednesday/thursday/friday/saturday/sunday/tomorrow/today/date/time/day .. @not work
    @not work .. on/this/next? monday/tuesday/wednesday/thursday/friday/saturday/sunday/weekend/day
    @not .. @came/get/receive/see/open .. link/location/address/catalog/catalogue/menu/price/quote/quotation/
        photo/pic/invoice/brochure/file/pdf/list
    i/im/ive/we @not .. arrive/arrived/reach/reached
    guests/husband/wife/friend/family/sister/brother/mom/dad .. @not .. arrived/arrive/come/reached
    been .. @n @time in/here/with
    # star{,s}
    i/ive/we .. sent/send .. different/wrong
    @no @passed* @flaw
    never .. @passed* @trouble/@flaw
    nothing to complain
    complaint{,s} book{,s}/box/form/desk/department/letter
    book{,s} .. complaint{,s}
    fraud awareness/prevention/department/insurance/poster/course
    problem set{,s}
    practice/math/maths/algebra/word problem{,s}
    study/studying/studied/student/degree/course .. law/lawyer/legal
    hiring/want/be/become a? lawyer
    my problem is .. i/that
    problem/issue/mistake/fault .. is/was mine/my
    whats/what .. problem/issue .. with/if
    need/looking/hire/find a/an/for/to .. lawyer/attorney
    problem{,s}/trouble sleeping/solving/book
    my/someone/they .. stole/stolen my? .. wallet/car/phone/bike/bag
    charge it/this/that/them to/on
    please/can/could/you/u/just/to .. charge .. my/the/it/this .. room/account/card/wallet
    you/u/to/and can/could/may/please? charge .. card
    is/are .. legal .. $ ?
    january/february/march/april/may/june/july/august/september/october/november/december issue
    which issue
    billing department/email/team/info/info/system/office/contact/platform
    compensation and
    used or new
    new or used
    lawyer consultation/fee/fees/price/services
    how much ... lawyer
    dispute resolution
    dont/not/no more? dispute
    @they forgot $ ?
    i/ive/we lost/forgot/missed/broke
    @no @passed* scam/fraud/cheating
    been .. @n @time .. customer/married/using/living/working
    how many times .. day/week/use/take
    allergic to
    how long/late .. take/takes/delivery $ ?
    zero @trouble
    @not complain{,ing}
    not a? complain{,t} .. just
    dont/not/never get me wrong
    correct me .. wrong
    im/am/if .. not/maybe/probably wrong
    wrong with .. that/it/cash
    go wrong
    im/we/are broke
    better late
    too bad
    food/tennis/basketball/badminton/padel/squash/volleyball/court court{,s,yard}
    send/get/share/email/see/where/my/medical/test/blood/lab/annual/the report .. card/results/pdf
    compensation package/plan
    math/problem set
    problem free/child
    anti theft/fraud/scam
    what .. legal name/hours/age/requirements
    issue due/out/price/no
    smell{s} .. good/great/nice/amazing
    my flight/bus/train/plane/meeting/husband/wife/boss .. late/delayed
    waiting for my/him/her/the/an/your/ur .. decide/decision/offer/quote/quotation/reply/answer/response/
        confirmation/salary/friend
    waiting for your/ur/my
    waiting outside/downstairs/here/at/in
    nobody/no/noone one? told me you
    scam/fraud protection/alert/prevention
    broken rice/wheat/arabic/english
    cracked wheat/pepper/heels
    expired card/passport/license/licence/id/visa/voucher/coupon/iqama/residency
    passport/license/licence/id/visa/iqama/residency/insurance/contract .. expired
    typing/my/spelling error
    no answer/reply/response .. needed/required/necessary
    i .. typed/wrote/sent/typed/gave/put/chose/entered/clicked/selected ... wrong ..
    one star hotel/michelin
    # star{,s} hotel/review
    first/second/third/next/last time i/we/im .. visit/visiting/order/ordering/buy/buying/try/come/here/in/
        travel/customer
    not worth
    sorry .. for/about/im/i .. late .. reply/response/answer
    late reply/response/answer .. from my/me
    no @passed* refund{,s}/compensation .. needed/required/necessary/thank/thanks
    @trouble was/is my/mine/on/from/with my/me/wifi/internet/phone
    i broke/damaged/lost/burned/forgot .. my/it/the
    takes/take .. over/about/for @n @time
    open/stay/book/booking/rent/valid/reserve/staying/reservation/warranty .. for @n @time
    for @n @time .. please/price/how/from/starting
    i/ill/we .. been .. customer/client/using
    @no @passed* @trouble
    no prob{,s,lem,lems,lemo} .. at all/man/bro/dear
    not my/your/a/the problem
    would/wouldnt .. @trouble
    sorry/apologies/apologise/apologize .. for/about/to .. delay/late/trouble/bother/mistake/mixup/confusion/
        inconvenience/error/complain
    what/whats/whats your/the/is problem/issue lol/haha
    problem{,s}/issue{,s} .. skin/hair/sleep/math/back/knee
    skin/hair/sleep/weight/math/maths/health/back/knee/dental/teeth/hearing/vision/eye/joint/digestive/acne
        problem{,s}/issue{,s}
    problem skin/hair/solving
    solve/fix/help/solving/fixing ... problem{,s}/issue{,s} thank{,s}/thx
    if .. any/a/some/there/i/you/we/no .. @trouble
    any problem{,s}/issue{,s}/complaint{,s}/questions let/just/please/ill/i/call/tell/contact/if
    in case .. @trouble
    is/would/will/are there/it/that/this .. a/any problem{,s}/issue{,s} if/with/for/to/$
    is/would/will/wont/isnt it/that/this/be .. a? problem/issue
    hopefully no @trouble
    hope/avoid/prevent .. @trouble
    issue/issues/issuing .. date/number/invoice/receipt/visa/ticket/tickets/card/certificate/passport/permit/
        license/document/policy/letter/voucher/gift
    date/place/country of issue
    issue date
    issued
    latest/new/next/last/current/back/old/previous/first/second/third/january/february/march/april/may/june/
        july/august/september/october/november/december/spring/summer/winter/autumn/special/monthly/weekly
        issue{,s} .. of/magazine/out/newspaper/journal/comic
    magazine/journal/newspaper/comic .. issue{,s}
    latest/next/back/previous issue{,s}
    to/can/you/u/please/do/i issue me/us/a/an/the/it/new
    free/out of charge{,s}
    charge{,s} free
    in/take/takes/took/taking charge
    who/whos is? in? charge .. of
    @no @passed* charge{,s}
    charge/charging/recharge .. my/the/your/a/an/it/its/their phone/battery/car/device/laptop/watch/headphones/
        airpods/iphone/tablet/bike/scooter/ipad/powerbank/speaker/balance/credit
    phone/battery/car/fast/wireless/full/fully/quick/laptop/mobile/first/one/per/single/each charge{,s,d}
    @not charge anymore/properly/well
    battery/phone/iphone/it .. charge
    do/does/did/will/would/can you/u/they/it/shop/hotel .. charge{,s} for/me/extra/per/to/vat/tax/any/a/more/by/
        in/if/$
    how much/many .. charge{,s}
    what/whats/which .. do/is/are/would/will/the/your/u .. charge{,s}
    is/are/r there ... charge{,s}
    any/extra/additional/delivery/shipping/service/late/cancellation/booking/cleaning/bank/card/handling/
        customs/labor/labour/visit/no/small/monthly/annual/yearly/fixed/hourly/visa/parking charge{,s} .. for/
        to/if/on/in
    delivery/shipping/service/additional/extra/cleaning/handling/parking/late/cancellation charge{,s}
    charge{,s} for .. sauce/delivery/parking/bag/bags/wifi/breakfast/cancel/cancellation/cancelling/change/
        changing/towels/kids/children
    you/u/they charge{,s} for/per/by
    including/include/includes/incl/with/plus .. charge{,s}
    usb/type/c/wall/car/wireless/phone/magsafe/laptop charger{,s}
    billing address/cycle/date/period/name/info/information/details/software/system/email
    legal conference/conferences/event/exam/exams/course/courses/career/field/profession/industry/background/tech/
        size/sized/pad/pads/folder/folders/envelope/envelopes/file/files/entity/status/secretary/studies/drama/
        thriller/copy/stamp/requirement/requirements/tint/alcohol/adult/heir/form/forms/terms/paper/age/name/
        holiday/drinking/notice/translation/translations/translator/document/documents/
        tender/weight/limit/guardian/system
    translat{e,ion,or,ing} .. legal
    lawyer/attorney .. near/discount/recommended/friend/office/by profession
    as a/an lawyer/agent/attorney
    im/am/i/hes/shes/was/is/are/were a/an/the? .. lawyer/attorney/solicitor
    my/a/the/our lawyer/attorney .. recommended/told me/suggested .. you/your/this/shop/place/about
    lawyer/lawyers/attorney/law .. firm/office/offices/building/gown/costume
    thank{,s}/thx/ty .. for .. refund/compensation/help/solving/fixing/sorting/resolving/agent/support/
        customer_service/representative/operator
    are/is .. customer service/support/agent/agents .. open/available .. on/at/after/during/weekend/sunday/
        friday/saturday/today/tomorrow
    thank{,s}/thx/appreciate .. help
    not working day/days/hours/on/today/tomorrow/friday/sunday
    do/does/is/are/will/if/when .. late .. open/delivery/check/checkout/checkin/fee/night
    late check/checkout/checkin/night/lunch/dinner/evening/afternoon/morning/bird
    late at/tonight/today/night
    too/so late to/for/now/$
    is/am i/it/we .. too? late
    ill/im/i/we/be/running/sorry/will/might/may .. late
    cold drink{,s}/brew/coffee/water/press/weather/pressed/one/ones/sandwich/juice/tea/cuts/cream/pack
    used car{,s}/phone{,s}/books/laptop{,s}/iphone/to
    wrong chat/number/person/group/window/button/message/conversation
    sorry/oops/my/i/typo/mistake .. wrong .. chat/number/message/one/person
    i/ive wrote/sent/typed/gave/put/chose/ordered/entered/clicked/selected .. wrong
    nothing is/was/s/wrong/missing/broken .. wrong/broken/missing/damaged
    nothing .. wrong/missing/broken/damaged
    anything else missing
    is/was/are/were anything/something .. missing/wrong
    did/was/do/does .. i/we/you .. miss/missing
    what .. missing .. document/documents/info/from me
    fix/repair/replace/change/buy/sell/take/recycle/fixing/repairing/accept .. broken/cracked/damaged/dead/
        faulty/old
    broken/cracked/damaged screen/glass/display/ice .. repair/replacement/fix/price/cost
    how much .. broken/cracked/damaged/damage
    not/@not disappoint{ed,}
    wont/not/dont/never be disappointed
    arrived/received/got/delivered .. safely/perfectly/fine/ok/perfect/today/safe/well .. thank{,s}/thx
    @not waste
    waste bin/bag/management
    fake nails/lashes/eyelashes/grass/tan/flowers/plants/fur/leather
    dead sea
    frozen food/yogurt/meat/chicken/fish/fruit/berries/pizza/shrimp
    raw honey/material/materials/milk/food/food/chicken/meat/fish/shrimp/almonds/nuts
    empty box{,es}/bottle{,s}/room/slot/slots/seat/seats
    dirty laundry/clothes/martini/chai
    opened/open at/on/new/yet
    off day/season/white/on/today
    police station/clearance/certificate/report/check
    police .. station/clearance/certificate/nearby/near/next
    sick leave/note/day/days
    leave .. sick/missing
    get well
    returned/return/exchange/change .. policy/how/possible
    is it/this/that legal
    is/was this/it/that .. scam/legit
    ridiculous{ly,} good/cheap/cute
    crazy good
"""

MENTIONS = """
    customer_service .. vacanc{y,ies,ie}/job/jobs/career/position/experience
    vacanc{y,ie}/job/jobs/hiring/position .. customer_service/agent/support/representative
    need/have/want/ill/let/gotta/i .. @talk @with my/him/her/his/our/their ..
    human resources/hair/rights/body/size/anatomy
    in person
    per/each person
    only human
    representative sample
    thanks/thank/appreciate/thx .. support/service
    back/neck/knee/arch/wrist/lumbar/moral/emotional support
    support group/local/small
    free/cleaning/secret/bonding agent
    call me my? name/@n/old/back when
    customer_service/agent/support/sales .. job/vacancy/position/hiring/career
    insurance/medical agent
    male/female representative
    person of contact
    @person .. size/jacket
    travel/estate/realestate/real_estate/insurance/cleaning/shipping/sales/booking/ticket/property/letting/
        customs/freight/literary/secret/free/chemical/bleaching/anti/purchasing/buying/clearing/authorized/
        authorised/local/exclusive/official/insurence agent{,s}
    agent{,s} commission/price/prices/rate/rates/discount/code/login/portal/of/for/in
    become/becoming/hire/hiring/recruiting/vacancy/join .. agent/representative/operator/manager/employee
    be/being/am/im/as/are/were a/an/the/your/you .. agent/representative/operator/manager/employee
    are/r you/u/this a/an/the .. agent/owner/manager/bot/robot
    medical/sales/legal/class/student representative
    tour/machine/forklift/crane/mobile/network/telecom operator{,s}
    spoke/talked/spoken/chatted/met/chatting/dealt .. to/with .. @person/@team
    @talk @with @a* @person/@team yesterday/before/already/earlier/last
    an/a/the/your/one/ur/of agent/representative/operator/manager/person/colleague/employee/support/rep/staff
        .. told/said/says/helped/called/promised/sent/confirmed/informed/was/who/already/gave/showed/
        recommended/replied/answered/is
    agent/representative/operator/manager/customer_service .. told/said/helped/promised/confirmed/was/were
    @team/customer service .. hours/open/close/closes/opens/time/working/address/email/excellent/amazing/great/
        awesome/good/perfect
    great/good/excellent/amazing/best/fantastic/awesome/wonderful/lovely/perfect/nice/brilliant/super/superb/
        friendly/such .. service/support/staff/agent/representative/team/customer_service
    what time/are/is/hours/days .. customer_service/customer/support/service/agent/office
    when .. customer_service/customer/support .. open/close/work/available
    what/which/when .. customer service/support .. hours/time/open/close/work/days
    help me/us .. choose/pick/find/decide/select/understand/book/order/reserve/with/figure/calculate/place/
        compare/plan/know/install/set/track/check/fill/to/get/buy/change/cancel/see/make/pay/a
    help{ed,ing} me/us
    god help
    help please? with
    call me/us when/once/before/if/by/sara/mr/mrs/crazy
    driver/courier/delivery/rider/he/she/they/captain/him/them/guy .. call{,s,ed} me ..
    call{ed,s} me/us .. yesterday/already/earlier/before
    if/when/once .. call me back later
    ill/will/i/gonna/let me/us? call .. back/you/u/later
    i call back
    different/another/other/second/third/extra/each/per/one/same/older/sick person
    person to/who/can/pick/collect/will/at/in/is
    # person/people
    manager of/at/for/in/position/job/told/said
    manager/agent/representative/operator job/position/vacancy/salary
    why dont/not/dont we/you/i/u
    why is/not .. anyone
    which/what/whose agent/representative/manager
    are/is your/the/ur agent{,s}/representative{,s}/manager/owner/operator/staff
    love/like/loved/enjoyed/happy/pleased/satisfied/appreciate .. @team
    complain{t,ts,ing}/report/reporting ... about/against/on .. @person/@team/behaviour/behavior/staff
    @talk @with my/him/his/her/our/their ..
    @talk @with ... home/first/husband/wife
    ill/i/will/let/gonna/need .. @talk @with .. and then?/get/let/come/tell
    tell/thank/thanks/greet/regards .. manager/agent/representative/operator/owner
    my manager/boss/supervisor/agent/representative/operator/colleague/owner
    agent{,s}/representative{,s}/operator{,s} .. said/did/didnt/hung/sent/gave/promised/refused/lied/was/were/
        is/are/will/never/has/had/have/who/that/responsible/visited/came/coming
    rude/unprofessional/incompetent/useless/bad/lazy/worst .. @person
    @no @passed* @person .. needed/required/necessary
    movie/book/film/series/show .. about
    someone/somebody/anyone .. used/stole/hacked/else/told/said/opened/recommended/using/tried/coming
    can/could/may/will driver/courier/rider/delivery/captain ... call me ..
"""

MACHINES = """
    bot/robot/chatbot/autoreply ... ..
    useless/stupid/dumb/bad/terrible/annoying/worst/tired/sick/hate .. bot/robot/chatbot/robots/bots
    @not understand/help/helping/get/getting .. me/my/question/it/what/you/anything/this/bot
    you/u @not understand/help/helping
    automatic/automated/auto/same message/messages/reply/replies/answer/answers
    same answer/reply/message
"""

REFUSALS = """
    @not .. want/need/wish/have/require/wanna/like/looking/trying/going/asking/intend .. to?
    no need/reason/intention .. to/for?
    without .. having/needing/talking to
    rather/prefer not to
    instead of talking/calling/speaking/waiting
    no longer need/want
    not asking/looking/about/here for/to
    dont/do please? call
    dont/not/never bother
"""

SUPPOSITIONS = """
    used to
    if
    what happens when
    in case
    incase
    what about when
    do/does/did .. ever
    just in case
"""

SOLUTIONS = """
    & ^ .. love/loved/adore it/them
    fixed/solved/resolved/sorted it/this/that/everything/them
    @trouble .. @be* @solve
    @solve .. the/my/our/that problem/issue/problems/issues
    @be @be* solved/fixed/sorted/resolved/settled
    all good/sorted/solved/fixed/resolved/fine now/thanks/thank/thx/!!/$
    ^ sorted/solved/fixed/resolved now/thanks/thank/thx/$
    works/working/fine/ok/okay/good now
    works/working .. thank{,s}/thx
    now it/its/everything works/working/fine/ok/good
    never/nvm mind
    nevermind/nvm
    i/we found/figured it .. thank{,s}
    found it
    figured .. out
    problem/issue gone/solved/fixed/sorted/resolved
    leak/stain/noise/smell/scratch/dent/crack/mark/damage/error/bug/bugs/mould/mold/rash .. gone/fixed/stopped/
        disappeared/vanished/out/removed
    no more/longer leak{s,ing}/noise/smell/stain/stains/error/errors/bugs/dripping
    no big deal/drama
    & ^ .. its/thats/it/was/all ok/okay/fine/alright/good
    doesnt/didnt/dont really? matter/mind
    & ^ .. worth it/the
    @not .. ordered/bought/purchased/paid/booked .. yet
    just .. arrived
    finally arrived/came/works
"""

SETTLED = """
    saw/see/seen/noticed/confirmed/spotted .. my/the/your/a/full .. refund/money/compensation back?
    thank{,s}/thx/ty/appreciate .. for .. refunding/reimbursing/returning/compensating/sending/giving .. money/
        refund?
        back?
    refund{,s}/money .. received/arrived/came/landed/credited/cleared/processed/done/in/back ..
    received/got/recieved/have/had .. my/the/your/a/full .. refund/money/compensation back?
    was/were/been/got/is/are .. refunded/reimbursed/compensated
    you/u/they/he/she/team/shop/store .. refunded/reimbursed/compensated/returned/gave/sent .. me/us/my/it/the ..
        refund/money/back/week/fully/already/yesterday/today/last
"""
AWAITED = """
    want need wanna when where wheres if should could can will would still to must until only half unless id ill
        told let give lemme demand
    wrong waiting expect promised said please pls
"""
NEVER = """
    havent/hasnt/hadnt .. been .. one/single/any/anything
    cant/cannot/couldnt .. remember/recall/think/fault/imagine/name
    @ever had/have/seen/experienced/encountered/faced/met/run/come/gotten/given/got/caused/made/found/heard/needed
    @ever .. been/felt/let
    @ever ... @bad/@awful/@trouble/@flaw
    havent/hasnt/hadnt .. had/seen/experienced/encountered/faced/given/caused/found .. one/single/any/a
    havent/hasnt/hadnt/not/without .. one/single .. @bad/@awful/@trouble/@flaw
    not .. one/once/single .. ever/@bad/@trouble/@flaw
"""
UNHEARD = "until till untill such so worse worst like again answered"
ELSEWHERE = """
    another/other/others/different/previous/last/old/former/my .. shop/shops/store/stores/company/companies/place/
        restaurant/seller/supplier/salon/website/business/brand/provider/vendor/competitor/competitors
    elsewhere
    somewhere else
"""
OURS = "your yours ur"
LEARNING_SIGNS = (
    "course{,s} class{,es} lesson{,s} exam thesis degree book{,s} workshop training study studying"
)
LEARNING = """
    dispute{,s}/fraud/complaint{,s}/lawyer{,s} .. with/between/resolution/handling/handled/management/detection/for
"""
SECURITY_SIGNS = (
    "camera{,s} cctv alarm{,s} lock{,s} padlock safe{,s} insurance tracker sensor{,s} door{,s} antivirus"
)
SECURITY = """
    theft{,s}/robbery/robberies/burglar{y,s,ies}/fraud/thie{f,ves}/stolen
"""
ILLNESS_SIGNS = """
    reschedule rescheduling appointment cancel postpone move shift rebook today tomorrow late
"""
ILLNESS = """
    my/our/the? kid/kids/son/daughter/wife/husband/mother/mom/mum/dad/baby/family .. sick/ill/injured
    i/im/we/were/he/she/hes/shes .. sick/ill/injured
    got/gotten/feeling/fell/been/am/is .. sick/ill
    my car/bike/flight/bus/train .. broke/broken/dead/died/stolen/stuck .. down?
"""
REPAIR_SIGNS = """
    maintenance plumber plumbing electrician servicing handyman fix fixing repair repairs repaired repairing
    replacement spare
"""
REPAIRS = """
    @mine @thing .. @bad
    @thing .. @bad
    broken/cracked/damaged/dead/faulty .. ..
    @not .. turn/charge/start/work
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
        Topic(REPAIR_SIGNS, REPAIRS),
        Topic(ILLNESS_SIGNS, ILLNESS),
        Topic(SECURITY_SIGNS, SECURITY),
        Topic(LEARNING_SIGNS, LEARNING),
    ),
)
