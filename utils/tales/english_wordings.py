# ruff: noqa: E501 (an option is one line)
"""How people ask about a tale in English: a grammar of questions.

It is written in the notation of the tales, `utils.tales.notation`. A question is about a topic of
`utils.tales.english.QUESTIONS`, and each topic has four kinds of words:

    direct    a question without its question mark: where did Zoe live
    clause    what follows "tell me": where Zoe lived
    noun      what is asked for, as a thing: Zoe's home
    command   a request of its own: say where Zoe lived

What the grammar may recall: all that the tale remembers, and the names of what is talked about, which
are pronouns in a question that follows another one:

    who, whom, whose    the child: Zoe, her, Zoe's
    pron, their, them   she, her, her
    self                herself
    it                  the prize: the kite
    that                the animal that could not help: the sheep
"""

WORDINGS = """
# --- Frames -----------------------------------------------------------------------------------------

wording:
    14 [direct {topic}]?
    4 [tell] [clause {topic}].
    3 [do you know] [clause {topic}]?
    2 [well], [direct {topic}]?
    2 [tell] [noun {topic}].
    2 [noun {topic}]?
    1 [noun {topic}], please.
    1 [direct {topic}], [please|do you know|can you tell me|by the way]?
    1 [clause {topic}]?
    1 [question]: [direct {topic}]?

tell:
    4 tell me
    2 please tell me
    please say
    say
    I want to know
    I would like to know
    I'd like to know
    I wonder
    let me know
    remind me
    explain
    I am asking
    I forgot
    I don't remember
    I cannot remember
    just tell me
    you must tell me
    give me

do you know:
    2 can you tell me
    could you tell me
    2 do you know
    do you remember
    can you say
    would you tell me
    will you tell me
    can you remember
    may I ask
    have you any idea
    can you explain
    could you please tell me
    does the [story|tale|text] say
    does it say anywhere

well:
    so
    and
    well
    now
    OK
    please
    hm
    hey
    tell me
    say
    all right
    wait
    in this story
    in the tale
    in the story
    at the beginning
    excuse me

question:
    question
    one more question
    I have a question
    another question
    a quick question
    tell me this
    next question

# --- Who is it about ----------------------------------------------------------------------------------

direct hero:
    4 who is [the|this] [story|tale] about
    2 what is the name of the child
    what is the [child|girl or boy|hero|kid|main character|little one] called
    what was the [child's|hero's|main character's] name
    who is the [hero|main character|main person|child] [in|of] [the|this] [story|tale]
    who is [it|this] about
    who is this all about
    who are we reading about
    who does the [story|tale] tell [us about|of]
    who did all this happen to
    whose story is [this|it]
    about whom is the [story|tale]
    which child is [the|this] [story|tale] about
    which [girl or boy|child|person] do we meet in [the|this] [story|tale]
    who plays the main part [in the story|in it|here]
    what name does the child [have|go by]
    who is in the [story|tale]
    who is the story's hero
    who was it about
    who do we [hear|read] about [in this tale|here]
    what do they call the child
    what is the [story's|tale's] child called
    whose [adventure|day|story] do we [hear|read|learn] about
    who do we follow [in this story|through the tale|here|from beginning to end]
    who has an adventure[ in this story| here|]
    to whom does [all this|everything|it all] happen
    who [goes|went] through all this
    who is at the centre of [the story|it all]
    this [story|tale] is about whom
    the [story|tale] is about which child
    the [story|tale] has a hero, and who is it
    there is a child in the [story|tale], isn't there? What is its name
    what person is [the|this] [story|tale] about
    who is the protagonist
    who experiences the adventure
    who is it that we read about
    who is the one [this|the story|it all] is about
    who are you telling me about
    which name does the [main character|hero|child] have
    can I know who the hero is
    give the name of the [hero|main character]

clause hero:
    2 who [the|this] [story|tale] is about
    who the [hero|main character|child|main person] [is|was]
    what the [child|hero|main character] is called
    what the child's name is
    which child [the|this] [story|tale] is about
    whose story this is
    who it is about
    who this is about
    who we are reading about

noun hero:
    the name of the [child|hero|main character|kid]
    the child's name
    the [hero|main character] [of|in] the [story|tale]
    the hero's name
    the name of the child in the [story|tale]

# --- The relative ---------------------------------------------------------------------------------------

direct relative:
    4 who did {who} live with
    2 who lived with {whom}
    who does {who} live with
    who lives with {whom}
    who did {who} share [the|a|{their}] [house|home] with
    who shared [the|a|{their}] [house|home] with {whom}
    who [else lived|also lived] [there|in the house|in {their} house]
    who else lived [there|in {whose} house|with {whom}|at home]
    who lived [in the house|there|at home|under the same roof] with {whom}
    who [looked after|took care of|cared for|raised|brought up] {whom}
    which [relative|person|member of the family|grown-up] [lived with {whom}|did {who} live with]
    with which [relative|person|grown-up] did {who} live
    who was {whose} family
    who was at home with {whom}
    who was in the house with {whom}
    what [family|relatives] did {who} have[ at home|]
    who was living with {whom}
    who did {who} stay with
    {who} lived with whom
    whose house did {who} live in
    who kept house with {whom}
    who was waiting for {whom} at home
    together with whom did {who} live
    who did {who} have at home
    who [was there too|was with {whom}] [at home|where {who} lived|in the house]
    {who} didn't live alone, did {pron}? Who [was with {whom}|lived there too]
    {who} did not live alone. Who lived there too
    who was the other person [at {whose} home|in {whose} house|at home]
    who was the [grown-up|adult] [in the house|at home|in {whose} home]
    which [grown-up|adult|relative] [was there|lived|stayed] at {whose} home
    what relative did {who} live with
    which relative of {whose} lived there
    which [family member|relative] shared {whose} home
    who made {whose} home with {whom}
    who belonged to {whose} family
    who was {who} living with
    who was there when {who} came home
    under whose roof did {who} live
    who kept {whom} company at home
    who slept in the same house as {who}
    who lived in the same [house|place|home] as {who}
    with whom did {who} [live|share a home|stay|grow up]

clause relative:
    2 who {who} lived with
    2 who lived with {whom}
    who else lived [there|in {whose} house|in the house]
    who {whose} family was
    who [looked after|took care of|cared for|raised] {whom}
    who {who} shared [the|a] [house|home] with
    which relative {who} lived with
    who was at home with {whom}
    with which relative {who} lived

noun relative:
    {whose} [family|relative]
    the [person|relative|grown-up|one] who lived with {whom}
    the [person|relative|grown-up|one] {who} lived with
    the [person|grown-up] at home with {whom}

# --- The home -------------------------------------------------------------------------------------------

direct home:
    4 where did {who} live
    2 where was {whose} [home|house]
    where was the [home|house] of {whom}
    where does {who} live
    where is {whose} [home|house]
    where is the [home|house] of {whom}
    in [what|which] place did {who} live
    what place did {who} live in
    where did {who} have {their} home
    where did {who} [stay|sleep at night|spend the night|grow up]
    where did {who} and {their} [relative|family] live
    where was it that {who} lived
    {who} lived where
    where [was|stood|is|stands] the house [that {who} lived in|in which {who} lived|where {who} lived]
    where exactly did {who} live
    where was {who} at home
    where did {who} come from
    what was {whose} address
    where would you find {whose} [house|home]
    where could I find {whose} [house|home]
    where did {whose} [house|home] stand
    where was {who} living
    where do {who} and {their} family live
    at what place was {whose} [house|home]
    near what was {whose} [house|home]
    what was near {whose} [house|home]
    in what part of the [town|country] did {who} live
    which place did {who} call home
    where did {whose} family have their home
    where is the [dwelling|residence] of {whom}
    where was {whose} dwelling
    where was it that {who} [had {their} home|was at home]
    the [house|home] of {whom}, where [was it|is it|did it stand]
    {who} had a home, didn't {pron}? Where was it
    {who} lived somewhere. Where
    in [what|which] location [was {whose} home|did {who} live]
    what was the location of {whose} [home|house]
    where would I have to go to visit {whom} at home
    where did {who} go back to [at night|in the evening]
    where did {who} wake up in the morning
    where could {who} be found at home
    which place was home for {whom}
    where did {whose} life take place
    if I wanted to visit {whose} house, where would I go
    to find {whose} house, where must I look

clause home:
    3 where {who} lived
    2 where {whose} [house|home] [was|stood|is]
    where the [house|home] of {whom} was
    in [what|which] place {who} lived
    where {who} was at home
    where {who} lives
    where {who} and {their} family lived
    where to find {whose} [house|home]
    where one could find {whose} [house|home]

noun home:
    {whose} [home|house|address]
    the [home|house] of {whom}
    the place where {who} lived
    the place of {whose} [home|house]
    {whose} home, where was it

# --- The journey ----------------------------------------------------------------------------------------

direct went:
    4 where did {who} go
    where was {who} going
    where did {who} [walk|run|travel|hurry|set out|make {their} way] to
    where did {who} [walk|run|travel|head|set off]
    to what place did {who} go
    to which place did {who} [go|walk|run]
    what place did {who} go to
    which place did {who} [go to|visit|walk to]
    what place did {who} visit
    where did {whose} way lead
    where did {whose} [walk|trip|journey] [go|lead|take {whom}]
    where did {who} want to go
    where did {who} go [that day|one day|then|when {who} left home|from home|on that day]
    {who} went where
    where has {who} gone
    where was {who} off to
    where did {whose} feet take {whom}
    where was it that {who} went
    where was {who} headed
    where is {who} going
    to [what|which] place did {who} [make {their} way|travel|run|walk|hurry|set out]
    what was the [goal|aim] of {whose} [walk|trip|way|journey]
    which place did {who} [reach|choose|head for|set out for]
    where did {who} [end up|arrive]
    {who} went somewhere, didn't {pron}? Where [to|was it]
    {who} left home to go where
    for what place did {who} [set off|leave|set out]
    where did {who} take {their} things
    where did the [walk|trip|journey] take {whom}
    {who} made {their} way to what place
    what place was {who} on the way to
    name the place {who} went to, what is it

clause went:
    3 where {who} went
    where {who} was going
    to which place {who} went
    what place {who} [went to|visited]
    which place {who} [went to|visited]
    where {who} [walked|ran|wanted to go|was off to]
    where {whose} [walk|trip|way] led

noun went:
    the place [{who} went to|that {who} visited|to which {who} went]
    the goal of {whose} [walk|trip|journey]
    {whose} goal that day
    where to

direct scene:
    4 where does the story happen
    2 where did it all happen
    where did [this|it|everything|all this] happen
    where does [it all|the tale|this story|everything] [happen|take place|play]
    where did [the story|the tale|it|all of this] take place
    in [what|which] place does the [story|tale] [happen|take place|play]
    at [what|which] place does the [story|tale] [happen|take place]
    what place does the [story|tale] happen [in|at]
    where is the [story|tale] set
    where are we in this [story|tale]
    what is the [scene|place] of the [story|tale]
    where was all this
    where was it all
    what is the [location|place|scene] of [the adventure|the story|all this|the action]
    where did the [adventure|trouble|action|main part] [happen|take place]
    in [what|which] surroundings does it happen
    where did {who} have the adventure
    where are we when it happens
    where was {who} when it[ all|] happened
    in [what|which] location did [it|all this|the adventure] happen
    the [story|tale] happens where
    where did the trouble [begin|start|come]

clause scene:
    2 where the [story|tale] [happens|happened|takes place|took place]
    where it [all happened|happened|all took place]
    where [everything|all this] happened
    at [what|which] place the [story|tale] happens
    where the [story|tale] is set

noun scene:
    the place [where it happens|of the story|where all this happened|where the story happens|of all this]
    the scene of the [story|tale]

# --- The prize and where it was -----------------------------------------------------------------------------

direct spot:
    4 where was {it}
    2 where exactly was {it}
    where was {it} [stuck|caught|lying|all the time|in the end|then|to be found]
    where did {who} [find|see|discover|notice|spot] {it}
    where is {it}
    where had {it} got to
    where did {it} [land|end up|lie|get stuck|get to|go|turn up]
    in [what|which] place was {it}
    in [what|which] place did {it} [land|end up]
    at what spot was {it}
    on what or in what was {it}
    what spot was {it} [in|at]
    {it} was where
    where could {it} be found
    where could one see {it}
    where was it that {who} saw {it}
    what had become of {it}
    where did they find {it}
    where was {it} when {who} [saw|found] {it}
    what was the exact place of {it}
    where [was it|could it be], the {prize} that {who} wanted
    where did {who} see the {prize} that {pron} couldn't [reach|get]
    where did {pal} have to go to [get|fetch|save|reach] {it}
    where did the helper [get|fetch|find] {it}
    from where did {pal} [get|fetch|bring|take] {it}
    where was {it} before {pal} [got|fetched|saved|brought] it
    at [which|what] place did {it} [lie|land|sit|wait|end up]
    {it} was somewhere, wasn't it? Where
    where did {who} have to look for {it}
    where [did|could] one find {it}
    what was the [location|position] of {it}
    {it} [ended up|was|got] where
    where did {it} stay until help came
    where had {it} [ended up|landed|come to lie]
    to what place did {it} get
    where would you have to look for {it}
    where was {it} [when help came|when {pal} came]
    from what place was {it} [brought back|saved|rescued|fetched]

clause spot:
    3 where {it} was
    where exactly {it} was
    where {it} [was stuck|was lying|landed|ended up|had got to|lay|is|turned up]
    where {who} [found|saw|discovered] {it}
    in [what|which] place {it} was
    at what spot {it} was

noun spot:
    the place [where {it} was|of {it}|where {who} found {it}|where {it} was stuck]
    the[ exact|] spot where {it} was

direct obstacle:
    3 why [couldn't|could not] {who} get {it}
    2 why did {who} need help
    why couldn't {who} [get|reach|fetch|save|take|bring back|get hold of] {it}[ alone| without help| by {self}| on {their} own|]
    why could {who} not [do it|manage|reach {it}|get {it}|fetch {it}|save {it}][ alone| without help| on {their} own|]
    why was {who} not able to [get|reach|fetch|save] {it}
    why was {who} unable to [get|reach|fetch|save] {it}
    why did {who} [fail|not manage it|not succeed|not get {it}|not just take {it}]
    why did {whose}[ own| first|] [try|attempt] fail
    what was [the trouble|the problem|so hard] for {whom}
    what kept {whom} from [getting|reaching|fetching|saving] {it}
    what stopped {whom}
    what stopped {whom} from [getting|reaching|saving] {it}
    what was in {whose} way
    what went wrong when {who} tried [it|alone]
    why was it [too hard|impossible|no use|not easy] for {whom}
    why did {who} have to [call for|get|ask for|look for] help
    why did {who} [call for|ask for|look for] help
    for what reason could {who} not get {it}
    what made it [impossible|so hard|too hard] for {whom}
    how come {who} couldn't get {it}
    how come {who} needed help
    why didn't it work when {who} tried
    why didn't {who} get {it} alone
    what was the matter when {who} tried [alone|to get {it}]
    why did {who} need [somebody|someone|another|a friend] to help
    for what reason did {who} fail[ to get {it}| to save {it}| alone|]
    what made getting {it} [so hard|too hard|impossible] for {whom}
    what made it too [hard|difficult] [for {whom}|to get {it}]
    why didn't {who} manage to [get|fetch|save|reach] {it}[ alone| without {pal}|]
    why did {who} not manage it without {pal}
    why did {who} need {pal}
    why was {pal} needed
    why didn't {whose} [try|plan|idea] work
    what was wrong with {whose} [try|plan|idea]
    {who} tried, but it did not work. Why
    {who} could not do it alone, could {pron}? Why not
    what was the [difficulty|obstacle|problem][ for {whom}| when {who} tried|]
    why was it [not possible|impossible|too difficult] for {whom} to [get|reach|save|fetch] {it}
    what kept {whom} from doing it alone
    because of what did {who} fail
    why couldn't {who} do it
    what [hindered|held back|blocked] {whom}
    why did {who} have no luck [alone|at first|when {pron} tried]
    why did the first [try|attempt] [go wrong|fail]
    the reason {who} couldn't [get|fetch|save|reach] {it}

clause obstacle:
    2 why {who} [couldn't|could not] get {it}
    2 why {who} needed help
    why {who} could not [reach|fetch|save] {it}[ alone| without help| on {their} own|]
    why {who} [failed|did not manage it|was not able to get {it}|had to call for help|did not get {it} alone]
    why {whose} [own|first] try failed
    what [stopped|was the trouble for|kept back] {whom}
    what kept {whom} from getting {it}
    what was in {whose} way
    what the problem was for {whom}

noun obstacle:
    the reason why {who} [could not get {it}|needed help|failed]
    {whose} [problem|trouble] when {who} tried [it|alone]

# --- The helper -------------------------------------------------------------------------------------------

direct helper:
    3 who helped {whom}
    2 who was able to help[ {whom}|]
    2 who saved {it}
    who [helped|saved] {whom} in the end
    who helped [in the end|at last|then]
    who could help[ {whom}|]
    who [got|fetched|brought|brought back|rescued|freed] {it}
    who got {it} back[ for {whom}|]
    who came to help[ {whom}|]
    who came to {whose} [help|aid]
    who gave {whom} [a hand|help]
    who did {who} get help from
    from whom did {who} get help
    who did it [in the end|at last]
    who was the [one that helped|helper|friend who helped|one who helped {whom}|one who saved {it}]
    who was {whose} helper
    who [made everything good again|made it good again|put things right]
    who is the helper[ in the story| in this tale|]
    which [animal|friend|person] [helped|was able to help|came to help][ {whom}|]
    by whom was {who} helped
    by whom was {it} [saved|brought back|rescued]
    {who} was helped by whom
    {it} was saved by whom
    who did {who} have to thank
    who should {who} thank
    who came to the rescue
    who did the rescue
    thanks to whom was {it} saved
    what helper did {who} find
    who knew how to help
    who succeeded where {who} failed
    who gave {whom} a hand
    who lent {whom} a hand
    who did what {who} [couldn't|could not] do[ alone|]
    who solved {whose} problem
    who solved the problem[ with {it}|]
    who got {whom} out of [trouble|this problem|this trouble]
    who got {it} out of [trouble|there]
    who made it possible to get {it}
    who was the one who [got|saved|brought back|fetched] {it}
    who was kind enough to help[ {whom}|]
    who stepped in to help
    who was of help
    {who} got help, didn't {pron}? Who from
    {who} was not alone in the end. Who helped
    which friend [solved the problem|gave {whom} a hand|did it for {whom}]
    who [finished the job|did the job|managed it|made it]
    who was the [saviour|rescuer]
    whose help did {who} [get|need|have]
    who turned out to be {whose} helper
    who was strong or clever enough to help
    who could do what {who} could not
    name the one who helped, who was it

clause helper:
    3 who helped {whom}
    who was able to help[ {whom}|]
    who [saved|rescued|fetched|got|brought back] {it}
    who [came to help|came to {whose} help|gave {whom} a hand]
    which [animal|friend] [helped {whom}|saved {it}]
    who {who} got help from
    who {whose} helper was
    who the helper [was|is]
    who did it in the end
    who came to the rescue

noun helper:
    {whose} [helper|friend who helped]
    the helper[ in the story|]
    the one who [helped|saved {it}|helped {whom}|fetched {it}|came to help]
    the [friend|animal] who [helped|saved {it}|came to help]

direct pal_name:
    3 what was the name of the {helper}
    2 what was the {helper} called
    what is the [name of the {helper}|{helper} called]
    what was the {helper}'s name
    what is the {helper}'s name
    what did they call the {helper}
    how was the {helper} called
    which name did the {helper} have
    what name did the {helper} [have|go by|bear|answer to]
    by what name was the {helper} known
    by what name did [{who}|they] call the {helper}
    what did {who} call the {helper}
    did the {helper} have a name, and what was it
    the {helper} was called what
    what was the name of that {helper}
    how was the {helper} [called|named]
    the {helper} [was named|had which name|was called] what
    the {helper} that helped {whom} was [named|called] what
    the {helper} who helped had what name
    the {helper} had a name, didn't it? [Which one|What was it]
    what name belongs to the {helper}
    which name belongs to the {helper}
    under [what|which] name do we [meet|know] the {helper}
    what is the {helper} in the story called
    how do you call the {helper}
    what is the name of the {helper} that helped
    what was the helping {helper} called
    how is the {helper} named in the [story|tale]
    what did the {helper} say its name was
    just the name: what was the {helper} called

clause pal_name:
    2 what the {helper} was called
    2 what the name of the {helper} was
    what the {helper}'s name [was|is]
    which name the {helper} had
    what {who} called the {helper}
    what they called the {helper}

noun pal_name:
    the name of the {helper}
    the {helper}'s name
    the name that the {helper} had
    the name of the helper

direct pal_kind:
    3 who was {pal}
    3 what was {pal}
    who is {pal}
    what is {pal}
    what kind of [animal|person|creature|being] [was|is] {pal}
    what sort of [animal|creature|being] [was|is] {pal}
    which animal [was|is] {pal}
    what animal [was|is] {pal}
    who or what was {pal}
    what was {pal}, [an animal or a person|exactly]
    who was this {pal}
    who is the one called {pal}
    who had the name {pal}
    who was called {pal}
    {pal} was what
    to [what|which] [species|kind of animal] does {pal} belong
    what type of [animal|creature|being] [is|was] {pal}
    what species [is|was] {pal}
    as an animal, what [is|was] {pal}
    is {pal} a [bird|person|animal], or what
    {pal} is a name, but who or what is it
    what is {pal} in the [story|tale]
    what would you call {pal}, a cat or a dog or what
    in what shape does {pal} appear
    {pal} was what kind of animal
    what living thing [was|is] {pal}
    what sort of being had the name {pal}
    tell me about {pal}: what was it

clause pal_kind:
    2 who {pal} [was|is]
    2 what {pal} [was|is]
    what kind of [animal|creature|being] {pal} [was|is]
    which animal {pal} was
    who was called {pal}

noun pal_kind:
    the kind of animal that {pal} was
    the one called {pal}
    {pal}

# --- In what order ------------------------------------------------------------------------------------------

direct tried:
    4 did {who} try it alone before or after {pal} came
    2 was it before or after {pal} came that {who} tried it alone
    did {who} try [alone|by {self}|without help] before or after {pal} [came|arrived|was there|turned up]
    when did {who} try[ it|] alone, before or after {pal} [came|arrived]
    when did {who} try it [alone|by {self}], before {pal} came or after
    was {whose} own try before or after {pal} came
    did {whose} own try come before or after {pal}
    {who} tried it alone: before or after {pal} came
    before or after {pal} came, when did {who} try it alone
    did {who} try[ it|] alone before {pal} came or after that
    did {who} first try alone after {pal} came or before that
    was {pal} already there or not yet when {who} tried alone, before or after
    [say before or after|before or after]: {who} tried alone ... {pal} came
    did {who} have a go alone before or after {pal} [came|arrived]
    when did {who} have a go alone, before or after {pal} came
    did {who} first try alone before or after seeing {pal} [come|arrive]
    compared with {pal} coming, was {whose} own try before or after
    {who} tried alone. Was that before or after {pal} came
    was it before or after the arrival of {pal} that {who} tried alone
    did {whose} attempt come before or after the arrival of {pal}

clause tried:
    2 whether {who} tried it alone before or after {pal} came
    if {who} tried[ it|] alone before or after {pal} [came|arrived]
    whether {whose} own try was before or after {pal} came
    when {who} tried it alone, before or after {pal} came

noun tried:
    {whose} own try, before or after {pal} came
    {who} alone, before or after {pal} came

direct came:
    4 did {pal} come before or after {who} tried it alone
    2 was it before or after {who} tried it alone that {pal} came
    did {pal} [arrive|turn up|come along] before or after {who} tried[ it|] [alone|by {self}|without help]
    when did {pal} come, before or after {who} tried[ it|] alone
    when did {pal} [come|arrive], before {who} tried it alone or after
    {pal} came: before or after {who} tried it alone
    before or after {who} tried it alone, when did {pal} come
    did {pal} come before {who} tried[ it|] alone or after that
    did {pal} come after {whose} own try or before it
    did {pal} come before or after {whose} own try
    [say before or after|before or after]: {pal} came ... {who} tried alone
    did {pal} come before or after {who} had a go alone
    when did {pal} come, before or after {who} had a go alone
    when did {pal} [come|arrive|turn up], before or after {whose} own [try|attempt]
    compared with {whose} own try, was the [arrival|coming] of {pal} before or after
    {pal} came. Was that before or after {who} tried alone
    was the arrival of {pal} before or after {whose} [own try|attempt]
    did {pal} [arrive|appear] before or after {whose} [own try|attempt]
    was {pal} there before or after {who} tried alone

clause came:
    2 whether {pal} came before or after {who} tried it alone
    if {pal} [came|arrived] before or after {who} tried[ it|] alone
    whether {pal} came before or after {whose} own try
    when {pal} came, before or after {who} tried it alone

noun came:
    the coming of {pal}, before or after {who} tried alone
    {pal}, before or after {who} tried it alone

direct first:
    3 who did {who} meet first, [the {other} or the {helper}|the {helper} or the {other}]
    2 who came first, [the {other} or the {helper}|the {helper} or the {other}]
    [who|which animal] did {who} [see|ask|run into|talk to] first, [the {other} or the {helper}|the {helper} or the {other}]
    which [did {who} meet|came|was there] first, [the {other} or the {helper}|the {helper} or the {other}]
    who was [there|the] first, [the {other} or the {helper}|the {helper} or the {other}]
    [the {other} or the {helper}|the {helper} or the {other}]: [who|which] [came|was] first
    [the {other} or the {helper}|the {helper} or the {other}], who did {who} meet first
    did {who} first meet [the {other} or the {helper}|the {helper} or the {other}]
    did {who} meet [the {other} or the {helper}|the {helper} or the {other}] first
    did [the {other} or the {helper}|the {helper} or the {other}] come first
    of [the {other} and the {helper}|the {helper} and the {other}], who came first
    between [the {other} and the {helper}|the {helper} and the {other}], which one came first
    who was earlier, [the {other} or the {helper}|the {helper} or the {other}]
    on meeting {whom}, who was [number one|first], [the {other} or the {helper}|the {helper} or the {other}]
    which of the two came first, [the {other} or the {helper}|the {helper} or the {other}]
    who was number one, [the {other} or the {helper}|the {helper} or the {other}]
    [the {other} or the {helper}|the {helper} or the {other}]: which one did {who} meet first
    whom did {who} meet earlier, [the {other} or the {helper}|the {helper} or the {other}]
    who appeared first, [the {other} or the {helper}|the {helper} or the {other}]

clause first:
    2 who {who} met first, [the {other} or the {helper}|the {helper} or the {other}]
    who [came|was there] first, [the {other} or the {helper}|the {helper} or the {other}]
    which came first, [the {other} or the {helper}|the {helper} or the {other}]
    whether [the {other} or the {helper}|the {helper} or the {other}] came first

noun first:
    the first one {who} met, [the {other} or the {helper}|the {helper} or the {other}]
    the first to come, [the {other} or the {helper}|the {helper} or the {other}]

direct other_why:
    3 why [couldn't|could not] {that} help
    2 why did {that} not help[ {whom}|]
    why didn't {that} help[ {whom}|]
    why was {that} [no help|of no use|not able to help|unable to help]
    why was {that} no help to {whom}
    what kept {that} from helping
    what stopped {that} from helping
    what was the [trouble|problem|matter] with {that}
    for what reason [couldn't {that} help|did {that} not help]
    how come {that} [couldn't|didn't] help
    why did {that} [say no|have to say no|fail|not do it|give up]
    why was it too hard for {that}
    why couldn't {that} do it
    what couldn't {that} do
    what was it that {that} could not do
    why did {who} get no help from {that}
    why was it no use to ask {that}
    why was {that} useless
    what stopped {that} from [getting|saving|fetching] {it}
    why did {that} have to leave [it|the job] to [somebody else|another]
    why couldn't {that} [get|save|fetch] {it}
    {that} did not help, did it? Why not
    {that} wanted to help but could not. Why
    what made it impossible for {that}[ to help|]
    what was {that} not able to do
    what was {that} unable to do
    why was {that} the wrong one to ask
    what did {that} say it couldn't do
    why did {that} refuse
    what was the reason that {that} did not help
    why wasn't {that} able to do it

clause other_why:
    3 why {that} [couldn't|could not|did not] help
    why {that} was [no help|not able to help|of no use]
    what kept {that} from helping
    what {that} could not do
    what the problem with {that} was

noun other_why:
    the reason why {that} [couldn't|did not] help
    the [trouble|problem] with {that}

# --- A treasure of the child's own ----------------------------------------------------------------------------

direct lost:
    3 what did {who} lose
    2 what was lost
    what had {who} lost
    what got lost
    which [thing|toy] did {who} lose
    which [thing|toy] [was|got] lost
    what was it that {who} lost
    what went missing
    what thing of {whose} was lost
    what did {who} not have any more
    what slipped away from {whom}
    what was gone
    what was {who} missing
    what did {who} want [back|to get back]
    what did {who} lose [that day|there|on the way]
    {who} lost what
    what toy did {who} have
    what was {whose} [treasure|toy|favourite toy|favourite thing]
    what did {who} love most
    what did {who} lose by accident
    what was no longer with {whom}
    what went missing in the [story|tale]
    what did {who} have to get back
    what did {who} [drop|let go of|let slip]
    which toy couldn't {who} hold on to
    what could {who} not hold on to
    what fell out of {whose} hands
    {who} lost something, didn't {pron}? What was it
    what was the thing that {who} lost
    what toy went missing
    what disappeared
    what did {pal} bring back to {whom}
    what was brought back to {whom}
    what did {who} take along and lose
    what did {who} own that got lost
    which of {whose} things was lost
    name the toy that {who} lost, what was it
    what did {who} cry about

clause lost:
    3 what {who} lost
    what {who} had lost
    what [was|got] lost
    what went missing
    which [thing|toy] {who} lost
    what {who} wanted back
    what {whose} [treasure|toy] was

noun lost:
    the [thing|toy] [that {who} lost|that was lost|{who} lost]
    the lost [thing|toy]
    {whose} [lost|favourite] [toy|thing]
    {whose} loss

direct look:
    3 what did the {prize} look like
    2 what was the {prize} like
    what does the {prize} look like
    what is the {prize} like
    what colour or shape was the {prize}
    how did the {prize} look
    how does the {prize} look
    what kind of {prize} was it
    what sort of {prize} [was it|did {who} have]
    what kind of {prize} [did {who} have|was lost|did {who} lose]
    how would you describe the {prize}
    how is the {prize} described
    what do we [learn|hear|read] about the {prize}'s looks
    what was special about the look of the {prize}
    in what way was the {prize} special to see
    which {prize} was it
    which {prize} did {who} [have|lose]
    what word describes the {prize}
    how should I [picture|imagine|draw|paint] the {prize}
    if I want to [draw|paint|picture] the {prize}, how should it look
    how [can|could] you tell {whose} {prize} from others[ by looking at it|]
    what would you see if you looked at the {prize}
    the {prize}, what was it like[ to look at|]
    the {prize}, what did it look like
    how did {whose} {prize} look
    what was {whose} {prize} like
    what can you say about the look of the {prize}
    describe the {prize}: how did it look
    in which colour or way did the {prize} look
    the {prize} had a special look. Which
    what is said about how the {prize} looked
    how would {who} recognize the {prize}
    what did {who} see when {pron} looked at the {prize}
    what was to be seen on the {prize}
    what appearance did the {prize} have

clause look:
    3 what the {prize} looked like
    what the {prize} was like
    how the {prize} looked
    what kind of {prize} [it was|{who} had|{who} lost]
    what sort of {prize} {who} had
    which {prize} it was
    how I should [picture|imagine|draw] the {prize}
    what {whose} {prize} looked like
    how to recognize the {prize}

noun look:
    the look of the {prize}
    the looks of the {prize}
    the {prize}'s look
    the kind of {prize}

direct giver:
    3 who had given {whom} {it}
    2 who did {who} get {it} from
    who gave {it} to {whom}
    who gave {whom} {it}
    from whom did {who} get {it}
    from whom was {it}
    who was {it} from
    who was the giver of {it}
    whose present was {it}
    whose gift was {it}
    where did {who} have {it} from
    who made {whom} a present of {it}
    who [made|bought|brought] {it} for {whom}
    who did {it} come from
    by whom was {it} given to {whom}
    {it} came from whom
    who was it that gave {whom} {it}
    who did {who} have {it} from
    which [person|relative] gave {whom} {it}
    who has given {it} to {whom}
    {it} was a present, wasn't it? Who from
    who is the person that gave {whom} {it}
    who should {who} thank for {it}
    to whom did {who} owe {it}
    who handed {it} to {whom}
    who had {it} before it was {whose}
    who surprised {whom} with {it}
    where did {it} come from, who gave it
    who got {it} for {whom}

clause giver:
    2 who had given {whom} {it}
    2 who gave {it} to {whom}
    who {who} got {it} from
    from whom {who} got {it}
    who {it} [was|came] from
    whose present {it} was
    which person gave {whom} {it}

noun giver:
    the giver of {it}
    the person [{it} was from|who gave {it} to {whom}|{who} got {it} from]
    the one who gave {whom} {it}

# --- Something that the relative has lost ------------------------------------------------------------------------

direct missing:
    2 what had {whose} {relative} lost
    2 what was {who} looking for
    what did {whose} {relative} lose
    what was {whose} {relative} missing
    what did {whose} {relative} not have any more
    what was {whose} {relative} sad about
    what did {who} look for
    what did {who} [search for|want to find|hope to find|go to find|try to find]
    what was {who} [searching for|trying to find]
    what [was|got] lost
    what had got lost
    what was gone
    which thing [was lost|had {whose} {relative} lost|did {who} look for]
    what thing did {whose} {relative} lose
    what was it that {whose} {relative} had lost
    what did {who} find[ in the end| at last| again|]
    {who} was looking for what
    what [belonged to|was missing from] {whose} {relative}
    what had the {relative} lost
    what did {whose} {relative} miss
    what couldn't {whose} {relative} find
    what was it that {whose} {relative} couldn't find
    the {relative} lost something, [right|didn't they]? What was it
    {whose} {relative} lost something. What
    what did {who} hope to bring back[ to {their} {relative}|]
    what did {who} want to bring back
    what did {who} bring back to {their} {relative}
    what did {pal} [bring back|get|fetch]
    what was {who} hunting for
    what disappeared
    what object was missing
    what went missing in the [story|tale]
    what was everybody looking for
    what did {whose} {relative} need back
    what did {who} promise to find
    which of the {relative}'s things was lost
    what did {who} search {place} for

clause missing:
    2 what {whose} {relative} had lost
    2 what {who} was looking for
    what {whose} {relative} lost
    what {who} [looked for|searched for|wanted to find|found]
    which thing was lost
    what [was|got] lost
    what {whose} {relative} was missing

noun missing:
    the thing [{whose} {relative} had lost|{who} was looking for|that was lost]
    the lost thing
    {whose} {relative}'s loss
    the thing {who} found

direct finder:
    2 who went to look for {it}
    2 who found {it}
    who [looked|searched] for {it}
    who wanted to find {it}
    who discovered {it}
    who was looking for {it}
    by whom was {it} found
    who set out to find {it}

clause finder:
    who went to look for {it}
    who found {it}
    who looked for {it}

noun finder:
    the one who found {it}
    the finder

direct owner:
    3 who had lost {it}
    2 who was missing {it}
    who lost {it}
    whose {prize} was it
    whose {prize} was [lost|gone|missing]
    who did {it} belong to
    to whom did {it} belong
    who was the owner of {it}
    who owned {it}
    who missed {it}
    by whom had {it} been lost
    who was sad because {it} was gone
    who could not find {it}
    {it} belonged to whom
    who was it that lost {it}
    who did not know where {it} was
    who wanted {it} back
    who had owned {it}
    who was without {it}
    to whom did {who} want to give {it} back
    who got {it} back in the end
    who was happy to have {it} again
    for whom did {who} look for {it}
    {it} was lost. Who had lost it
    who was in tears because of {it}
    from whom was {it} missing
    who is the one that lost {it}
    who was looking everywhere at home for {it}
    whose was {it}

clause owner:
    2 who had lost {it}
    who lost {it}
    who was missing {it}
    whose {prize} [it was|was lost]
    who {it} belonged to
    who the owner of {it} was
    to whom {it} belonged

noun owner:
    the owner of {it}
    the person who [lost|missed|owned] {it}
    the one who had lost {it}

direct search:
    2 why did {who} go to {place}
    2 what did {who} go to {place} for
    why did {who} [walk|run|hurry] to {place}
    what did {who} want [at|in] that place
    what was {who} doing out there
    for what [purpose|reason] did {who} go to {place}
    what was the reason for {whose} [walk|way|trip] to {place}
    why was {who} going to {place}
    what [took|led|brought|made] {whom} go to {place}
    what brought {whom} to {place}
    what did {who} want to do when {who} went to {place}
    what made {whom} go to {place}
    what was {whose} plan when {who} went to {place}
    how come {who} went to {place}
    with what [plan|aim] did {who} go to {place}
    what did {who} have in mind when {who} went to {place}
    {who} had a reason to go to {place}, didn't {pron}? What was it
    with what [aim|plan] did {who} set out[ for {place}|]
    what was {whose} [plan|aim|reason] in going to {place}
    what did {who} mean to do[ in that place| when {pron} left home|]
    why was {place} the place where {who} went
    what was the [point|purpose|aim] of {whose} [walk|trip]
    what did {who} hope to do when {pron} went to {place}
    why did {who} [set out|set off|leave home|make {their} way] [for|to] {place}
    what was {who} going to do when {pron} set out
    what did {who} have to do out there

clause search:
    2 why {who} went to {place}
    what {who} went to {place} for
    what {who} wanted to do when {who} went to {place}
    what [brought|took|led] {whom} to {place}
    for what reason {who} went to {place}
    what the reason for {whose} walk to {place} was

noun search:
    the reason why {who} went to {place}
    the reason for {whose} [walk|trip|way] to {place}
    {whose} plan at the start

# --- A small animal in trouble -------------------------------------------------------------------------------------

direct found:
    2 who was in trouble
    2 who did {who} find
    what did {who} find
    which animal was in trouble
    which animal did {who} [find|see|discover|meet]
    what animal [was in trouble|did {who} find|needed help]
    who needed [help|to be saved]
    who had to be [saved|rescued|helped]
    who [was|got] [stuck|saved|rescued|lost]
    who had lost its way
    who did {who} [want to help|try to help|discover|try to save|want to save]
    whom did {who} [find|see|discover]
    what [kind of|sort of] animal did {who} find
    what did {who} discover[ there|]
    what [poor|little] [creature|animal] was in trouble
    which [creature|little one] needed help
    who was [saved|rescued|helped][ in the end|]
    {who} found whom
    who got into trouble
    who could not get away
    who was it that needed help
    which animal was [saved|rescued]
    who got [rescued|saved|freed]
    who was it that got rescued[ with {pal}'s help|]
    who couldn't get [free|away|home] without {who}[ and {pal}|]
    who was the [poor|little|small|poor little] [animal|creature|one][ in trouble| {who} worried about| {who} found|]
    who did {who} worry about
    who did {who} [feel sorry for|meet in need|hear crying]
    who called for help
    who was [crying|trembling|afraid]
    which [small|little|poor] animal did {who} [help|want to save|save]
    there was an animal in trouble. Which one
    what animal was it that {who} found
    what animal did {pal} [save|rescue|bring to {whom}]
    who did {pal} [save|rescue|help]
    which animal was stuck
    who was unable to get away
    what did {who} find that needed help
    who was happy to be saved

clause found:
    2 who was in trouble
    2 who {who} found
    which animal {who} [found|saw|wanted to help]
    what {who} [found|discovered]
    which animal was in trouble
    who needed help
    who had to be saved
    who was saved in the end
    whom {who} discovered

noun found:
    the [animal|creature|one] in trouble
    the animal [that needed help|{who} found|that was saved]
    {whose} find

direct errand:
    25 [direct search]
    say with which plan {who} went to {place}

clause errand:
    [clause search]

noun errand:
    [noun search]

# --- Food ------------------------------------------------------------------------------------------------------------

direct snack:
    3 what did {who} have to eat
    2 what food did {who} take along
    what did {who} [eat|take to eat|bring to eat|carry to eat]
    what [food|snack] did {who} [have|take|bring|carry|pack][ with {them}| along|]
    what was there to eat
    what was [in {whose} bag to eat|{whose} food|{whose} snack|{whose} lunch]
    what was packed to eat
    what did {who} [have|take] [in {their} bag|for lunch|against hunger]
    which [food|snack] did {who} [have|take] with {them}
    what food was in {whose} bag
    what tasty thing did {who} have
    what did {who} have for [lunch|a snack]
    {who} took what to eat
    what could {who} eat on the way
    what did {who} put in to eat
    what kind of food was with {whom}[ on the trip|]
    what kind of food did {who} [have|take|bring]
    what was there in the bag that one could eat
    what did {who} have against hunger
    which meal did {who} carry
    what did {who} bring for the [way|trip|walk]
    {who} had something to eat, didn't {pron}? What was it
    what did {who} plan to eat
    what good thing was in {whose} bag
    what had {who} got to eat
    what was {whose} [meal|food on the way]
    what did {who} pack[ to eat| for the walk|]
    what edible thing did {who} take

clause snack:
    2 what {who} had to eat
    what [food|snack] {who} [had|took along|took|carried|brought]
    what {who} took [along to eat|to eat|for lunch]
    what {whose} [food|snack|lunch] was
    what there was to eat

noun snack:
    {whose} [food|snack|lunch]
    the [food|snack] [{who} took along|{who} had|in {whose} bag]
    something to eat for {whom}, what was it

# --- What no tale says -----------------------------------------------------------------------------------------------

somebody:
    5 {who}
    2 {whose} {relative}
    2 {pal}
    the {helper}
    {whose} [mother|father|uncle|aunt|teacher|neighbour|best friend]

detail:
    birthday
    [last|family|second] name
    nickname
    [phone|telephone|house|passport] number
    [shoe|hat|coat] size
    star sign
    blood type
    height
    weight
    salary
    job
    religion
    [native|second] language
    mother tongue
    nationality
    password
    email address
    eye colour
    hair colour
    wish for [Christmas|the new year|next birthday]
    secret
    biggest [fear|wish|dream|mistake|problem at school]
    favourite [colour|dish|subject|sport|season|month|number|teacher|flower|tree|film|singer|drink|fruit|breakfast|music]
    best [mark|friend at school|subject|joke|trick]
    worst [mark|subject|day|habit]
    hobby
    grade in school
    bedtime
    [mother's|father's|sister's|brother's|dog's|doctor's] name

acquaintance:
    [best friend at school|teacher|boss|cousin|neighbour|uncle|aunt|dentist|boyfriend|first love|godmother|hero on television|coach]

possession:
    a [bicycle|car|piano|telephone|computer|garden|sister|brother|twin|cousin|television|passport|horse at home|swimming pool|watch|beard|scar|cold]
    any [brothers|sisters|pets|children|enemies|money|toys at home|homework]

countable:
    [brothers|sisters|cousins|uncles|pets|books|rooms|windows|toys at home|coins|shoes|coats|languages|lessons|enemies|neighbours]

category:
    [colour|song|book|game|film|sport|subject|season|fruit|vegetable|drink|soup|holiday|month|city|language|television show|toy shop]

skill:
    [swim|ride a bicycle|ride a horse|play the piano|play chess|read|write|cook|dance|whistle|count to a hundred|drive|speak French|sing well|ski]

pastime:
    [school|music|soup|carrots|reading|snow|football|dancing|the rain|swimming|painting|winter|coffee|homework|cats|thunder]

habit:
    [get up|go to bed|eat breakfast|have dinner|go to school|leave for work|take a bath|do the homework|go on holiday]

occasion:
    [on Monday|on Sunday|at the weekend|last year|last week|yesterday|the day before|the next day|the week after|in winter|every morning|after school|on holiday|at Christmas|ten years later|at night|for a living|all day]

direct unsaid:
    5 what [is|was] [somebody]'s [detail]
    3 what's [somebody]'s [detail]
    2 which is [somebody]'s [detail]
    2 who [is|was] [somebody]'s [acquaintance]
    what is [somebody]'s [acquaintance] called
    2 [does|did] [somebody] have [possession]
    has [somebody] got [possession]
    4 how many [countable] [does|did] [somebody] [have|own]
    how many [countable] has [somebody] got
    how many [countable] are there in [somebody]'s [house|room|family|school]
    3 [what|which] [category] [does|did] [somebody] [like best|like most|prefer|hate|choose|love]
    what is the [category] that [somebody] likes best
    2 can [somebody] [skill]
    how well can [somebody] [skill]
    who taught [somebody] to [skill]
    when did [somebody] learn to [skill]
    2 does [somebody] like [pastime]
    what does [somebody] think about [pastime]
    2 [when|at what time|at what hour] [does|did] [somebody] [habit]
    how often does [somebody] [habit]
    3 what [does|did] [somebody] do [occasion]
    2 what [does|did] [somebody] [eat|wear|cook|buy|read|drink|dream of] [occasion]
    who does [somebody] [visit|meet|call|play with] [occasion]
    where [does|did] [somebody] [work|go on holiday|buy bread|learn to swim|keep {their} money|do the shopping|study|get married|spend the winter]
    in which [shop|school|hospital|office|street|city] [does|did] [somebody] [work|buy shoes|meet friends|study]
    where was [somebody] born
    in which [year|month|country|town] was [somebody] born
    how [tall|heavy|strong|rich|clever|fast] is [somebody]
    how much money does [somebody] [have|earn|spend]
    how much does [somebody] weigh
    is [somebody] [married|rich|a good pupil|left-handed|the oldest child|taller than {whose} {relative}]
    why does [somebody] [like|hate|fear] [pastime]
    who is [somebody] [in love with|angry with]
    who [visits|owns|built|cleans|discovered|guards] {place}[ every day| every year|]
    how many people [visit|live near|work at|know] {place}[ in a year| every day|]
    how [big|old|far away|famous] is {place}
    when was {place} [discovered|first seen|on television]
    what does the {prize} [cost|weigh]
    how [old|heavy|expensive|big] [is|was] the {prize}
    who [made|sold|invented] the {prize}
    in which shop was the {prize} bought
    how long [has|had] {who} had the {prize}
    what is [{whose}|the {relative}'s|the {helper}'s] [favourite|best-loved] [colour|food|song|book|game|animal|day]
    what was the name of {whose} [{relative}|mother|father|school|teacher|brother|sister|dog|cat|best friend|doll]
    what was {whose} {relative} called
    what was the {relative}'s name
    how [tall|heavy|strong|rich] was [{who}|{whose} {relative}|the {helper}|{pal}]
    how old [was|is] [{whose} {relative}|the {helper}|{pal}]
    what [colour|kind] [was|were] {whose} [hair|eyes|shoes|coat|bed|socks|shirt|trousers|door]
    what colour [is|was] [the {helper}|{pal}|{whose} hair]
    how many [brothers|sisters|friends|children|books|rooms|pets] did {who} have
    how much did [the {prize}|{whose} coat|the bag] cost
    what did {who} [have|eat] for [breakfast|dinner|supper][ that day|]
    what did [{pal}|the {helper}] [eat for breakfast|dream of|like to eat|do yesterday|do the next week]
    what did {who} dream [about|of]
    what [job|work] did {whose} {relative} [have|do]
    what did {whose} {relative} [do for a living|cook that day|do all day|buy]
    when is {whose} birthday
    in which year did [this|it|the story] happen
    what [time|hour|month|date|year] was it
    at what time did {who} [get up|go to bed|leave|come home]
    how [long|far] was the way[ to {place}|]
    how long did it take {whom} to get to {place}
    what did {who} [wear|have on {their} feet|have on {their} head]
    which school did {who} go to
    who was {whose} [teacher|brother|sister|doctor|neighbour|cousin|best friend at school]
    where did [{pal}|the {helper}] [live|sleep|come from|grow up]
    where was {whose} {relative} born
    where was {who} born
    who wrote [the|this] [story|tale]
    who [built|painted|bought] {whose} house
    what is {whose} [last|family|other|second] name
    what language did {who} speak
    what [town|city|country|village] [was it|did {who} live in]
    did {who} have a [dog|cat|brother|sister|bicycle|horse|telephone]
    did {who} like [school|music|soup|carrots|reading|snow]
    can {who} [swim|ride a horse|play the piano|read|cook]
    what did {who} want to become
    what was in {whose} [left|other] pocket
    what was [playing on the radio|the weather like the next week|on television]
    how many [people|houses|windows|trees] were there
    who was the mayor of the town
    why did {whose} {relative} never [marry|sing|travel]
    what did {who} [read|study|learn] at school
    what did {who} do [last year|the week before|on Monday|ten years later]
    what instrument did {who} play
    what is the number of {whose} house
    how did {who} meet {their} best friend at school
    what did the neighbours say about {whom}
    who did {who} marry
    what did {who} get for Christmas
    what is {whose} favourite [place|toy at school|kind of soup|season]
    how many [children|legs|friends|teeth] has [{pal}|the {helper}]
    what does {who} want to [be|become] [when {pron} grows up|later|one day]
    what [is|was] [{who}|{pal}|the {helper}|{whose} {relative}][ most|] afraid of
    what does {whose} {relative} do for [work|a living|money]
    what [medicine|tea|coffee|newspaper] does {whose} {relative} [take|drink|like|read]
    what [illness|problem|secret|job] did {whose} {relative} have
    what is [{pal}'s|{whose}] [full|real|middle|second] name
    do you know {whose} [last name|birthday|teacher|best friend|phone number]
    who taught {whom} to [read|swim|sing|write]
    what grade was {who} in
    what subject does {who} like best
    does [{pal}|the {helper}] have [children|a wife|a family|a house]
    how did {pal} learn that
    how heavy was the {prize}
    who made the [bag|door|road]
    what was the weather like on the day before
    what did {who} buy [at the shop|yesterday]
    what was the price of [the {prize}|{whose} shoes]
    which [hand|foot|bed|side] does {who} [use most|like best|sleep on]
    what did {who} say in {their} sleep
    what did [{pal}|the {helper}] do on [Monday|the next day|the day before]
    how often did {who} visit [the sea|the city|a doctor]
    what was the last thing {who} read
    who are {pal}'s parents
    what [film|sport|animal|drink|number|season] does {who} like best
    what was {whose} bed made of
    what shoes did {who} wear

clause unsaid:
    6 what [somebody]'s [detail] [is|was]
    2 who [somebody]'s [acquaintance] is
    3 how many [countable] [somebody] has
    2 [if|whether] [somebody] has [possession]
    2 [what|which] [category] [somebody] likes best
    [if|whether] [somebody] can [skill]
    when [somebody] [got up|went to bed|had dinner]
    2 what [somebody] did [occasion]
    where [somebody] [works|was born|buys bread|goes to school]
    what {whose} favourite [colour|food|song|book|game] [is|was]
    what {whose} {relative} was called
    what {whose} {relative}'s name was
    how old [{whose} {relative}|the {helper}|{pal}] was
    how [tall|heavy] [{who}|{pal}] was
    what colour {whose} [hair|eyes|shoes] [was|were]
    how many [brothers|sisters|friends] {who} had
    what {who} had for [breakfast|dinner|supper]
    what [job|work] {whose} {relative} had
    when {whose} birthday is
    at what time {who} [got up|went to bed]
    how far it was to {place}
    which school {who} went to
    who {whose} [teacher|brother|sister] was
    where [{pal}|the {helper}] [lived|slept|came from]
    where {who} was born
    who wrote [the|this] [story|tale]
    if {who} had a [dog|cat|brother|sister]
    if {who} liked [school|music|soup]
    whether {who} could [swim|read|cook]
    what {who} wanted to become
    what {who} dreamt of

noun unsaid:
    5 [somebody]'s [detail]
    2 [somebody]'s [acquaintance]
    the number of [somebody]'s [countable]
    {whose} [favourite colour|favourite food|birthday|last name|shoe size|teacher|school|weight]
    the name of {whose} [{relative}|mother|father|teacher|school|dog|cat]
    the colour of {whose} [hair|eyes|shoes|coat]
    the age of [{whose} {relative}|the {helper}|{pal}]
    the price of the {prize}
    the writer of the [story|tale]
    the {relative}'s [job|name|age]
    {pal}'s [age|favourite food|brother|breakfast]

# --- What has nothing to do with the tale ------------------------------------------------------------------------------

direct world:
    what is the capital of [France|Spain|China|Japan|Italy|Egypt|Peru|Canada|India|Poland]
    what is the [largest|longest|highest|deepest|smallest|oldest] [river|mountain|country|city|animal|lake|building|ocean|planet][ in the world| in Europe| on earth|]
    how [much|many] is [two|three|five|seven|ten|twelve|twenty] [plus|minus|times|and] [two|four|six|nine|eleven|eight|fifteen]
    what is [two|three|five|seven|ten|twelve|twenty] [plus|minus|times|and] [two|four|six|nine|eleven|eight|fifteen]
    who is the [king|queen|president|head] of [France|Spain|England|China|America|Sweden]
    who [invented|discovered] [the telephone|the wheel|America|the light bulb|paper|the computer]
    who wrote [Hamlet|Faust|the Bible|Robinson Crusoe]
    who painted the [Mona Lisa|ceiling of the church in Rome]
    how many [legs|eyes|wings|teeth] has [a spider|a horse|a fish|a bee|an ant]
    how many [days|weeks|months|hours|minutes] [has|are in] [a year|a month|a week|a day]
    how [far|big|hot|old] is the [moon|sun|earth|sea]
    why is the [sky blue|grass green|sea salty|moon round]
    what is [the square root of nine|a prime number|an atom|gravity|a black hole|electricity]
    what does ["dog"|"house"|"hello"|"water"|"thank you"] mean in [French|Spanish|German|Latin]
    how do you say ["dog"|"house"|"hello"|"water"|"thank you"] in [French|Spanish|German|Latin]
    in which year did the [war|first world war|French revolution] [end|begin|start]
    when was [Napoleon|Mozart|Einstein|Columbus] born
    when did [Napoleon|Mozart|Einstein|Columbus] die
    who won the [match|game|world cup|election][ yesterday| last year|]
    how do I [bake bread|cook rice|boil an egg|fix a bicycle|write a letter|plant a tree|tie a knot]
    what is the [news|price of gold][ today| tomorrow|]
    how [fast|high] can [a horse run|a bird fly|a car drive|a plane fly|a cat jump]
    which [country|city|planet|number] is [bigger|larger|smaller|older], [Rome or Paris|nine or seven|the moon or the sun|Mars or Venus]
    how is [cheese|glass|paper|steel|wine] made
    what do [cows|bees|bears|whales|rabbits] eat
    where is [Paris|Tokyo|Africa|the North Pole|Berlin|the Nile]
    what language do they speak in [Brazil|Mexico|Austria|Egypt]
    which train goes to [London|Paris|Berlin|Rome]
    what is the capital of [Portugal|Greece|Russia|Mexico|Norway|Turkey|Cuba]
    which planet is [closest to the sun|the largest|the smallest|called red]
    at what temperature does [water|ice|iron] [boil|freeze|melt]
    why do we have [leap years|seasons|night|dreams|taxes]
    how does [a car|a plane|a radio|the heart|a computer] work
    what is the [chemical sign|formula|weight] of [gold|water|air]
    who was the first [man on the moon|president of America|emperor of China]
    how many [players|cards|keys|stars|people] are [in a team|in a game|on a piano|in the sky|in China]
    what is the meaning of [life|this word|love|time]
    what is [the population of India|the speed of light|the boiling point of water|a mammal|a verb]
    how do you spell ["beautiful"|"friend"|"school"|"animal"]
    what comes after [seven|Monday|June|winter|the letter B]
    when does the [train|bus|shop|school|film] [leave|open|start|close]
    what should I [cook|wear|buy|watch|plant] [today|tomorrow|for dinner]
    translate ["dog"|"house"|"thank you"] into [French|Spanish|German]
    which [sea|river|mountain] is in [Egypt|Italy|China|Spain]
    what colour do you get from [red and blue|yellow and blue|black and white]
    how many [metres|grams|cents] are in a [mile|pound|dollar]

clause world:
    what the capital of [France|Spain|China|Japan|Italy|Egypt|Peru|Canada] is
    how much [two|three|five|seven|ten] [plus|times|and] [two|four|six|nine] is
    who the [king|queen|president] of [France|Spain|England|America] is
    who invented [the telephone|the wheel|the light bulb|paper]
    how many legs [a spider|a bee|an ant] has
    why the [sky is blue|sea is salty]
    what ["dog"|"house"|"water"] means in [French|Spanish|German]
    how to [bake bread|cook rice|boil an egg|fix a bicycle|write a letter|write a program]
    how far the [moon|sun] is
    when [Napoleon|Mozart|Columbus] was born
    where [Paris|Tokyo|Africa|the Nile] is

noun world:
    the capital of [France|Spain|China|Japan|Italy|Egypt|Peru]
    the [largest|longest|highest] [river|mountain|city] in the world
    the year in which the war ended
    the [sum|product] of [two|three|five] and [four|six|nine]
    the French word for ["dog"|"house"|"water"]
    the number of [days in a year|legs of a spider|planets]
    the president of [France|America|China]
"""
