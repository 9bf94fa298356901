# ruff: noqa: E501 (an option is one line)
"""The tales in English: the rules of the stories, and the questions about them.

How to read and extend the rules: see `utils.tales.notation`. The names that later sentences recall:

    hero, child, she, her, him    the child, "girl" or "boy", and the pronouns
    relative, rshe, rher          whom the child lives with, and that person's pronouns
    prize                         what has to be got back: a toy, a lost keepsake, a small animal
    look                          what the prize looks like
    place, land                   where it happens, and what kind of land that is
    where, trouble, skill         where the prize is stuck, what kind of trouble that is, what it would take
    other                         an animal that cannot help
    helper, pal, way              who can help, that animal's or person's name, and the way they do it
    packed, snack                 is there something to eat, and what

Everything after an "a" begins with a consonant, so that no rule has to choose between "a" and "an".
"""

RULES = """
# --- The three kinds of story ---------------------------------------------------------------------

story:
    [opening] [treasure] [outing] [lost] [help] [rescue] [thanks {packed}] [ending {plot}] :: plot=treasure
    [opening] [missing] [search] [found] [help] [rescue] [thanks {packed}] [ending {plot}] :: plot=keepsake
    [opening] [errand] [cry] [help] [rescue] [thanks {packed}] [ending {plot}] :: plot=creature

# --- Who ------------------------------------------------------------------------------------------

opening:
    Once there was a [trait] [child] named [hero {child}], who lived with {her} [relative] [home].
    Not long ago, [hero] lived with {her} [relative] [home]. {She} was a [trait] {child}.
    In a [house] [home] lived a [trait] [child] named [hero {child}] and {her} [relative].
    Everybody knew [hero], because no other {child} could [talent]. {She} lived with {her} [relative] [home].
    Have you ever heard of [hero]? {She} lived with {her} [relative] in a [house] [home].
    Long ago, a [trait] [child] named [hero {child}] lived with {her} [relative] [home].
    Once, [hero] and {her} [relative] lived in a [house] [home].
    There was nobody as [trait] as [hero], the {child} from the [house] [home]. {Her} [relative] said so, too.
    When this happened, [hero] was [age] years old and lived with {her} [relative] in a [house] [home].
    This is the story of [hero], a [trait] {child} who could [skilful]. {She} lived [home] with {her} [relative].
    "Good morning!" called [hero] every day from a [house] [home]. {She} lived there with {her} [relative].
    Early every morning, a [trait] [child] named [hero {child}] fed the hens [home], while {her} [relative] was still asleep.

child:
    girl :: she=she; her=her; him=her
    boy :: she=he; her=his; him=him

hero:
    [hero girl] :: child=girl; she=she; her=her; him=her
    [hero boy] :: child=boy; she=he; her=his; him=him

hero girl:
    Mia
    Lucy
    Anna
    Nora
    Ella
    Clara
    Sofia
    Hannah
    Rosa
    Zoe
    Ida
    Maya

hero boy:
    Tom
    Leo
    Sam
    Jack
    Felix
    Noah
    Daniel
    Hugo
    Ben
    Max
    Oscar
    Paul

relative:
    mother :: rshe=she; rher=her
    father :: rshe=he; rher=his
    grandmother :: rshe=she; rher=her
    grandfather :: rshe=he; rher=his
    aunt :: rshe=she; rher=her
    uncle :: rshe=he; rher=his

trait:
    brave
    clever
    kind
    quiet
    cheerful
    curious
    stubborn
    gentle
    shy
    lively

talent:
    whistle so loudly
    run so fast
    tell such funny stories
    sing so beautifully

skilful:
    whistle like a bird
    run like the wind
    tell funny stories
    sing beautifully

age:
    five
    six
    seven
    eight

house:
    little white house
    crooked old house
    yellow house
    house with a red roof
    tiny cottage
    house full of books

home:
    at the end of a quiet lane
    near the railway
    behind the church
    next to the bakery
    beside the school
    by the sea
    at the foot of a mountain
    on the edge of a small town
    across from the post office
    not far from the old bridge

# --- A treasure that gets lost --------------------------------------------------------------------

treasure:
    For {her} birthday, {her} {relative} had given {him} a [look] [prize=thing], and {she} [loved].
    {Her} {relative} had made {him} a [look] [prize=thing], and {she} [loved].
    Of all {her} things, {hero} liked {her} [look] [prize=thing] best, because it was a present from {her} {relative}.
    "Take good care of it," {her} {relative} had said and given {him} a [look] [prize=thing].
    {Hero} owned a [look] [prize=thing], a present from {her} {relative}, and {she} [loved].
    What {hero} loved most was a [look] [prize=thing], because {her} {relative} had made it.
    At the fair, {her} {relative} had bought {him} a [look] [prize=thing], and {she} [loved].
    While other children had a hundred toys, {hero} had only a [look] [prize=thing] from {her} {relative}.
    One winter, {her} {relative} came back from a long journey and brought {him} a [look] [prize=thing].

loved:
    took it everywhere
    never let it out of {her} sight
    showed it to everyone
    even slept with it
    loved it dearly
    was very proud of it

look:
    red
    blue
    green
    yellow
    purple
    striped
    spotted
    little
    white
    beautiful

thing:
    kite
    ball
    hat
    cap
    scarf
    ribbon
    doll
    puppet
    mitten
    paper boat
    drum
    teddy bear
    toy lion
    pinwheel

outing:
    One [weather] [daytime], {hero} took the {prize} to [place][scenery] :: packed=no
    On a [weather] [daytime], {hero} went to [place] with the {prize} [carried]. :: packed=no
    When the rain stopped at last, {hero} ran to [place] with the {prize} [carried]. :: packed=no
    "You may go to [place], but be careful with the {prize}," said {her} {relative} one [weather] [daytime]. :: packed=no
    With the {prize} [carried], {hero} walked to [place] one [weather] [daytime]. :: packed=no
    2 One [weather] [daytime], {hero} put a [snack] into {her} [bag] and took the {prize} to [place][scenery] :: packed=yes
    2 {Her} {relative} had made a [snack], and with the {snack} in {her} [bag], {hero} took the {prize} to [place][scenery] :: packed=yes
    2 It was a [weather] [daytime], so {hero} took a [snack] and the {prize} and went to [place][scenery] :: packed=yes
    2 "Here is a [snack] for you," said {her} {relative} one [daytime], so {hero} took the {snack} and the {prize} and ran to [place][scenery] :: packed=yes

scenery:
    6 .
    5 [sight {land}].

sight wood:
    , where the birds were singing
    , where the leaves were rustling
    , where it was dark and cool between the trees
    , where it smelled of moss

sight shore:
    , where the water was glittering
    , where the frogs were croaking
    , where the reeds were whispering
    , where the waves were splashing

sight hills:
    , where the bees were humming
    , where the grass was still wet
    , where one could see far and wide
    , where it smelled of flowers

sight farm:
    , where the cocks were crowing
    , where it smelled of hay
    , where the dogs were barking
    , where everybody was hard at work

carried:
    under {her} arm
    in {her} hand
    on {her} back
    hidden under {her} coat

weather:
    sunny
    windy
    cloudy
    warm
    cold
    misty
    bright
    grey

daytime:
    morning
    afternoon
    day in spring
    day in summer
    day in autumn
    Sunday

bag:
    bag
    basket
    pocket
    backpack

snack:
    bun
    pancake
    honey cake
    cheese roll
    pretzel
    biscuit
    waffle
    plum tart

place:
    the forest :: land=wood; at=in
    the woods :: land=wood; at=in
    the park :: land=wood; at=in
    the river :: land=shore; at=at
    the lake :: land=shore; at=at
    the pond :: land=shore; at=at
    the hills :: land=hills; at=in
    the meadow :: land=hills; at=in
    the old castle :: land=hills; at=at
    the farm :: land=farm; at=on
    the village :: land=farm; at=in
    the mill :: land=farm; at=at

trouble wood:
    at the top of a tall [treekind] tree :: trouble=tree; skill=climb trees
    at the bottom of a narrow hole :: trouble=hole; skill=fit into such a narrow hole
    in the middle of a thorny bush :: trouble=thorns; skill=bear sharp thorns

trouble shore:
    on a small rock in the middle of the water :: trouble=water; skill=swim that far
    in the middle of the deep mud :: trouble=mud; skill=walk on mud
    at the top of a tall [treekind] tree :: trouble=tree; skill=climb trees

trouble hills:
    on a narrow ledge, high above the ground :: trouble=ledge; skill=climb such steep rocks
    at the bottom of a narrow hole :: trouble=hole; skill=fit into such a narrow hole
    in the middle of a thorny bush :: trouble=thorns; skill=bear sharp thorns

trouble farm:
    on the roof of a barn :: trouble=roof; skill=climb onto roofs
    at the bottom of a dry well :: trouble=well; skill=climb down into a well
    in the middle of the deep mud :: trouble=mud; skill=walk on mud

treekind:
    oak
    pine
    pear
    chestnut

lost:
    Suddenly a gust of wind pulled the {prize} out of {her} hands and dropped it [stuck]
    {At} {place}, a magpie snatched the {prize}, flew a little way and dropped it [stuck]
    {At} {place}, {she} tripped over a [root|stone], and the {prize} flew through the air and landed [stuck]
    {She} threw the {prize} up and caught it, again and again, until it landed [stuck]
    While {she} stopped {at} {place} [purpose], a magpie took the {prize} and dropped it [stuck]
    But {at} {place}, {she} was not careful, and soon the {prize} lay [stuck]
    "Watch me!" {she} called to the birds and threw the {prize} as high as {she} could, but it came down [stuck]
    The wind was strong {at} {place}, and before {she} knew it, the {prize} lay [stuck]
    {She} ran and sang and danced {at} {place} until the {prize} slipped out of {her} hands and landed [stuck]

stuck:
    [where=trouble {land}]. [try {trouble}].

# --- A keepsake that is missing -------------------------------------------------------------------

missing:
    "I have lost my [dear] [prize=keepsake]," said {her} {relative} one [weather] [daytime].
    "Where is my [dear] [prize=keepsake]?" asked {her} {relative} one [weather] [daytime].
    One [daytime], {her} {relative} looked in every drawer and under every chair, but {rher} [dear] [prize=keepsake] was gone.
    One [weather] [daytime], {hero} found {her} {relative} in tears, because {rher} [dear] [prize=keepsake] was gone.
    "Have you seen my [dear] [prize=keepsake]?" asked {her} {relative} one [daytime], but nobody had seen it.
    One [daytime], {her} {relative} turned the whole house upside down, but {rher} [dear] [prize=keepsake] was gone.
    On a [weather] [daytime], {her} {relative} did not want to eat or sing, because {rher} [dear] [prize=keepsake] was gone.

dear:
    best
    favourite
    beautiful
    silver
    golden
    little

keepsake:
    ring
    key
    watch
    brooch
    necklace
    comb
    spoon
    whistle
    bell
    thimble
    mirror
    purse

search:
    Without a word, {hero} went to [place] to look for it. :: packed=no
    "I will find it," said {hero} and ran to [place][scenery] :: packed=no
    "Perhaps you lost it on the way to [place]," said {hero} and put on {her} boots. :: packed=no
    So {hero} went to [place] and looked behind every stone. :: packed=no
    "Don't be sad," said {hero} and went straight to [place][scenery] :: packed=no
    2 {Hero} put a [snack] into {her} [bag] and set off for [place] to look for it. :: packed=yes
    2 "It must be somewhere," said {hero}, took a [snack] and went to [place][scenery] :: packed=yes
    2 There was a [snack] on the table, so {hero} put the {snack} into {her} [bag] and set off for [place] to look for it. :: packed=yes

found:
    {She} searched {place} for a long time until {she} saw the {prize} [stuck]
    {At} {place}, something was shining, and it was the {prize} [stuck]
    {She} did not have to look for long, because the {prize} lay [stuck]
    {She} walked up and down {at} {place}, and there it was at last, [stuck]
    A magpie was laughing, because it had dropped the {prize} [stuck]
    {She} looked left and right, up and down {at} {place}, and there was the {prize} [stuck]
    By evening, {her} feet were tired, but then {she} saw the {prize} [stuck]

# --- A small animal in trouble --------------------------------------------------------------------

errand:
    One [weather] [daytime], {hero} went to [place] [purpose]. :: packed=no
    On a [weather] [daytime], {hero} was walking to [place] [purpose]. :: packed=no
    "I am going to [place] [purpose]," {hero} told {her} {relative} one [weather] [daytime]. :: packed=no
    When the rain stopped at last, {hero} ran to [place] [purpose]. :: packed=no
    2 {Her} {relative} had made a [snack], and with the {snack} in {her} [bag], {hero} went to [place] [purpose]. :: packed=yes
    2 One [weather] [daytime], {hero} put a [snack] into {her} [bag] and went to [place] [purpose]. :: packed=yes
    2 "Here is a [snack] for you," said {her} {relative} one [daytime], so {hero} took the {snack} and went to [place] [purpose]. :: packed=yes

purpose:
    to pick flowers
    to look for feathers
    to listen to the birds
    to collect pretty stones
    to draw a picture
    to watch the clouds

cry:
    {At} {place}, {she} heard a thin voice. A [tiny] [prize=creature] was sitting [stuck]
    "Help, help!" somebody called. A [tiny] [prize=creature] was sitting [stuck]
    {At} {place}, {she} saw a [tiny] [prize=creature]. It was trembling with fear [stuck]
    Somebody was crying {at} {place}. {Hero} looked around and found a [tiny] [prize=creature] [stuck]
    {At} {place}, a [tiny] [prize=creature] had lost its way and was stuck [stuck]
    "I want to go home," said a thin voice. It was a [tiny] [prize=creature] [stuck]
    On the way to {place}, {she} found a [tiny] [prize=creature]. It had been sitting for hours [stuck]

tiny:
    tiny
    frightened
    hungry
    lonely
    black
    white

creature:
    kitten
    chick
    hamster
    bear cub
    baby dragon
    baby monkey
    baby owl
    parrot

# --- The child tries alone ------------------------------------------------------------------------

try tree:
    [tried] tried to climb up, but {why} :: why=the lowest branch was too high
    [tried] jumped as high as {she} could, but {why} :: why={her} arms were too short
    [tried] stood on a big stone, but {why} :: why=it was still too high
    [tried] shook the tree, but {why} :: why=the tree was too strong

try roof:
    [tried] looked for a ladder, but there was none :: why=there was no ladder
    [tried] climbed onto a barrel, but {why} :: why=it was still too high
    [tried] jumped as high as {she} could, but {why} :: why={her} arms were too short
    [tried] tried to climb up, but {why} :: why=the wall was too smooth

try ledge:
    [tried] tried to climb up, but {why} :: why=the stones were loose
    [tried] looked for a path, but there was none :: why=there was no path
    [tried] stood on a big stone, but {why} :: why=it was still too high
    [tried] looked for a ladder, but there was none :: why=there was no ladder

try water:
    [tried] stepped in, but {why} :: why=the water was too deep
    [tried] looked for a boat, but there was none :: why=there was no boat
    [tried] held out a long stick, but {why} :: why=the stick was too short
    [tried] took off {her} shoes, but {why} :: why=the water was too cold

try mud:
    [tried] took one step, but {why} :: why={she} sank in up to {her} knees
    [tried] held out a long stick, but {why} :: why=the stick was too short
    [tried] tried to walk on a board, but {why} :: why=the board sank at once
    [tried] looked for a path, but there was none :: why=there was no path

try hole:
    [tried] put {her} arm in, but {why} :: why=the hole was too deep
    [tried] dug with both hands, but {why} :: why=the earth was too hard
    [tried] held out a long stick, but {why} :: why=the stick was too short
    [tried] tried to crawl in, but {why} :: why=the hole was too small

try thorns:
    [tried] reached in, but {why} :: why=the thorns scratched {her} hands
    [tried] tried to push the branches apart, but {why} :: why=the branches were too strong
    [tried] crawled under the leaves, but {why} :: why=the thorns held {her} coat
    [tried] held out a long stick, but {why} :: why=the stick was too short

try well:
    [tried] leaned over the edge, but {why} :: why=the well was too deep
    [tried] looked for a ladder, but there was none :: why=there was no ladder
    [tried] let down a long branch, but {why} :: why=the branch was too short
    [tried] tried to climb down, but {why} :: why=the wall was too smooth

tried:
    4 {She}
    2 {Hero}
    So {she}
    Quickly {she}
    At once {hero}

# --- Who helps ------------------------------------------------------------------------------------

help:
    3 [sad] [arrival]
    2 [unhelpful] [arrival]
    1 [arrival]

sad:
    {Hero} sat down and cried.
    "What shall I do now?" {she} sighed.
    "I will never manage this alone," thought {hero}.
    A big tear rolled down {her} cheek.
    {Hero} did not know what to do.
    Still, {hero} did not give up so easily.
    "Is there nobody who can help me?" called {hero}.
    Now {she} was really sad.

unhelpful:
    First a [other] came by. "I am sorry," said the {other}, "but I can't {skill}."
    {She} asked a [other], but the {other} could not {skill}.
    "Help me!" {she} called to a [other]. "I can't {skill}," said the {other}.
    A [other] stopped and looked, but it could not {skill}.

other:
    cow
    sheep
    donkey
    hen
    turkey
    pony

arrival:
    Just then, a [helper {trouble}] named [pal] came along. "[boast {way}]," said {pal} the {helper}.
    "Don't worry," said a friendly voice. It was [pal], the [helper {trouble}]. "[boast {way}]," said {pal}.
    "I am [pal]," said a [helper {trouble}] who had seen everything. "[boast {way}]."
    Luckily, {she} remembered {her} friend [pal], a [helper {trouble}], and {pal} came at once.
    Then a [helper {trouble}] named [pal] came by and asked what was wrong. "[boast {way}]," said {pal} the {helper}.
    {Hero} ran to fetch [pal], the [helper {trouble}]. "[boast {way}]," said {pal} the {helper}.
    After a while, {she} met a [helper {trouble}] named [pal] and asked {pal} for help.
    "Who is making so much noise?" asked a [helper {trouble}] named [pal]. {Hero} told {pal} the {helper} everything.
    {She} called for help until [pal], a [trait] [helper {trouble}], heard {him}. "[boast {way}]," said {pal} the {helper}.
    Not far away lived a [trait] [helper {trouble}] named [pal]. "[boast {way}]," said {pal} the {helper}.

pal:
    Pip
    Otto
    Tilly
    Bruno
    Dot
    Hazel
    Olga
    Wanda
    Nibs
    Momo
    Rufus
    Fritz

helper tree:
    squirrel :: way=climb
    crow :: way=fly
    woodpecker :: way=fly

helper roof:
    cat :: way=climb
    pigeon :: way=fly
    stork :: way=fly

helper ledge:
    goat :: way=climb
    falcon :: way=fly
    raven :: way=fly

helper water:
    duck :: way=swim
    beaver :: way=swim
    swan :: way=swim

helper mud:
    heron :: way=wade
    crane :: way=wade
    flamingo :: way=wade

helper hole:
    mouse :: way=burrow
    mole :: way=burrow
    rabbit :: way=burrow

helper thorns:
    hedgehog :: way=push
    tortoise :: way=push
    lizard :: way=push

helper well:
    farmer :: way=rope
    shepherd :: way=rope
    sailor :: way=rope

boast climb:
    I can climb there and back
    I can climb better than anyone
    I am never afraid of heights
    I climb every day

boast fly:
    I can fly up there
    That is easy for me, because I have wings
    I am never afraid of heights
    I can fly better than anyone

boast swim:
    I can swim there and back
    I can swim better than anyone
    I love the water
    I swim every day

boast wade:
    My legs are long enough for that
    That is easy for me, because I have long legs
    I love the mud
    I walk there every day

boast burrow:
    No hole is too narrow for me
    That is easy for me, because I live under the ground
    I am never afraid of the dark
    I dig every day

boast push:
    Thorns can't hurt me
    That is easy for me, because I have a thick skin
    I am never afraid of thorns
    I sleep under thorns every day

boast rope:
    I have a long rope
    That is easy for me, because I have a strong rope
    My rope is long enough for that
    I am never afraid of the dark

# --- How it is done -------------------------------------------------------------------------------

rescue:
    [easily], {pal} [deed {way}] and brought the {prize} back to {hero}.
    The {helper} [deed {way}] and took hold of the {prize}, and soon it was with {hero} again, [unharmed].
    {Pal} [deed {way}], and soon {hero} had the {prize} back, [unharmed].
    "[ready]!" called {pal}, [deed {way}] and came back with the {prize}.
    {Hero} held {her} breath while {pal} [deed {way}] and came back with the {prize}, [unharmed].
    [easily], the {helper} [deed {way}], and then {hero} had the {prize} in {her} hands again.
    {Pal} smiled, [deed {way}] and saved the {prize}.
    And really, {pal} [deed {way}] and put the {prize} at {her} feet, [unharmed].
    Three times {pal} tried, and the third time the {helper} [deed {way}] and came back with the {prize}.

ready:
    Wait here
    Watch me
    Nothing easier than that
    Leave it to me

deed climb:
    climbed up step by step
    climbed higher and higher
    hurried up
    climbed up without looking down

deed fly:
    flew up
    spread both wings
    rose into the air
    flew higher and higher

deed swim:
    swam across
    jumped into the water
    swam as fast as possible
    swam out in a wide circle

deed wade:
    walked through the mud
    took three long steps
    walked out step by step
    lifted one leg after the other

deed burrow:
    crept into the hole
    dug a little tunnel
    crept down into the dark
    hurried down

deed push:
    crept through the thorns
    crept under the branches
    pushed the branches apart
    walked right through the thorns

deed rope:
    climbed down the rope
    tied the rope to a tree
    let down a basket on the rope
    climbed down into the dark

easily:
    Without a word
    With a smile
    In no time at all
    Without any fear
    Very carefully
    One, two, three

unharmed:
    safe and sound
    without a scratch
    a little dirty but safe
    as if nothing had happened

# --- Thanks ---------------------------------------------------------------------------------------

thanks yes:
    {Hero} broke the {snack} in two and gave {pal} the bigger half.
    "Thank you, {pal}," said {hero} and shared the {snack} with the {helper}.
    To say thank you, {she} gave {pal} the {snack}.
    Then they sat down in the grass and shared the {snack}.
    "Are you hungry?" asked {hero}, and {pal} ate the {snack} in one bite.
    {Hero} took out the {snack}, and {pal} [joy].
    "This {snack} is for you, {pal}," said {hero}.
    Together {hero} and {pal} ate the {snack} and [joy].

thanks no:
    "Thank you, {pal}," said {hero} and [joy].
    {Hero} thanked the {helper} and [joy].
    "How can I thank you?" asked {hero}. "[wish]," said {pal}.
    {Hero} was so happy that {she} [joy].
    "You are a real friend, {pal}," said {hero}.
    {Hero} thanked {pal} a hundred times.
    "[wish]," said {pal}, and {hero} promised it.
    {Hero} hugged {pal} and [joy].

joy:
    danced in a circle
    sang a little song
    laughed out loud
    smiled from ear to ear
    jumped for joy

wish:
    Sing me a song
    Come and visit me again
    Just be my friend
    Tell me a story
    Never forget me

# --- How it ends ----------------------------------------------------------------------------------

ending treasure:
    From that day on, {hero} took better care of the {prize}.
    "Where have you been so long?" asked {her} {relative}. "I lost my {prize} and found a friend," said {hero}.
    That night the {prize} lay beside {her} bed, and {hero} dreamed of a {helper}.
    In the evening, {she} told {her} {relative} how {pal} had saved the {prize}.
    The next day, {she} went back with {her} {relative} and brought {pal} [gift].
    Since then, {hero} and {pal} have often played with the {prize} together.
    At home, {her} {relative} had already made supper, and {hero} told the whole story.
    Since then, the {prize} has never been lost again, because {hero} holds it with both hands.

ending keepsake:
    Then {hero} ran home and gave the {prize} to {her} {relative}, who [moved].
    "It was {where}," {hero} told {her} {relative} at home and held out the {prize}.
    At home, {her} {relative} put the {prize} in a safe place and [thanked|hugged] {hero}.
    "My {prize}!" cried {her} {relative} when {hero} came home. "How did you find it?"
    When {hero} brought the {prize} home, {her} {relative} [moved].
    That evening, {her} {relative} baked a cake, and the first piece was for {pal}.
    "Close your eyes," said {hero} at home and put the {prize} into the hands of {her} {relative}.
    {Her} {relative} was waiting at the door. When {rshe} saw the {prize}, {rshe} [moved].

moved:
    cried for joy
    laughed and cried at the same time
    could hardly believe it
    was happy again

ending creature:
    The {prize} followed {hero} home, and {her} {relative} gave it [gift].
    Soon the mother of the {prize} came running and thanked them [both|all].
    "May I keep it?" asked {hero} at home. {Her} {relative} smiled and [nodded|said yes].
    {Hero} carried the {prize} home in {her} arms, and there it got [gift].
    That night the {prize} slept at the foot of {her} bed, and {hero} dreamed of a {helper}.
    Since then, {hero}, {pal} and the {prize} have been best friends.
    At home, {her} {relative} made a bed for the {prize}, and soon it was asleep.
    In the evening, {she} told {her} {relative} how {pal} had saved the {prize}.

gift:
    a bowl of warm milk
    a big red apple
    a piece of cake
    a soft blanket
"""

QUESTIONS = """
always:
    who hero: Who is the story about? / What is the name of the child? / Who is this story about? => {hero}
    > who relative: Who did {she} live with? / Who lived with {him}? => {her} {relative}
    > where home: Where did {she} live? / Where was {her} home? => {home}
    who relative: Who did {hero} live with? / Who lived with {hero}? => {her} {relative}
    where home: Where did {hero} live? / Where was the home of {hero}? => {home}
    > who relative: Who lived there with {him}? / Who else lived there? => {her} {relative}
    where went: Where did {hero} go? / Where was {hero} going? => to {place}
    where scene: Where does the story happen? / Where did it all happen? => {at} {place}
    where spot: Where was the {prize}? / Where exactly was the {prize}? => {where}
    > why obstacle: Why couldn't {she} get it? / Why could {she} not do it alone? => because {why}
    > who helper: Who helped {him}? / Who was able to help? => {pal} the {helper}
    why obstacle: Why couldn't {hero} get the {prize}? / Why did {hero} need help? => because {why}
    > who helper: Who helped {him}? / Who was able to help? => {pal} the {helper}
    who helper: Who helped {hero}? / Who saved the {prize}? / Who was able to help {hero}? => {pal} the {helper}
    > why obstacle: Why did {she} need help? / Why couldn't {she} do it alone? => because {why}
    what pal_name: What was the name of the {helper}? / What was the {helper} called? => {pal}
    what pal_kind: Who was {pal}? / What was {pal}? => a {helper}
    order tried: Did {hero} try it alone before or after {pal} came? / Was it before or after {pal} came that {hero} tried it alone? => before
    order came: Did {pal} come before or after {hero} tried it alone? / Was it before or after {hero} tried it alone that {pal} came? => after
    order first: Who did {hero} meet first, the {other} or the {helper}? / Who came first, the {helper} or the {other}? => the {other}
    > why other_why: Why couldn't it help? / Why did it not help? => because it could not {skill}
    why other_why: Why couldn't the {other} help? / Why did the {other} not help {hero}? => because it could not {skill}

plot=treasure:
    what lost: What did {hero} lose? / What was lost? => a {look} {prize}
    > who giver: Who had given it to {him}? / Who did {she} get it from? => {her} {relative}
    > where spot: Where did it land? / Where did it end up? => {where}
    what look: What did the {prize} look like? / What was the {prize} like? => {look}
    who giver: Who had given {hero} the {prize}? / Who did {hero} get the {prize} from? => {her} {relative}

plot=keepsake:
    what missing: What had {hero}'s {relative} lost? / What was {hero} looking for? => the {prize}
    > who finder: Who went to look for it? / Who found it? => {hero}
    > where spot: Where was it? / Where did {hero} find it? => {where}
    who owner: Who had lost the {prize}? / Who was missing the {prize}? => {her} {relative}
    why search: Why did {hero} go to {place}? / What did {hero} go to {place} for? => to look for the {prize}
    > where spot: Where was it? / Where did {she} see it at last? => {where}

plot=creature:
    who found: Who was in trouble? / Who did {hero} find? => a {tiny} {prize}
    > where spot: Where was it? / Where was it sitting? => {where}
    > who helper: Who saved it? / Who helped it in the end? => {pal} the {helper}
    why errand: Why did {hero} go to {place}? / What did {hero} go to {place} for? => {purpose}
    > who found: Who did {she} find there? / Who was in trouble there? => a {tiny} {prize}

packed=yes:
    what snack: What did {hero} have to eat? / What food did {hero} take along? => a {snack}
"""
