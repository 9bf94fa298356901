# ruff: noqa: E501 (an option is one line)
"""The tales in Chinese: the rules of the stories, and the questions about them.

The skeleton and the names are those of `utils.tales.english`; the sentences are told afresh, not
translated. Two names are different: `count` is the measure word of the helper, and a rule whose options
need different measure words is split by them, as in [thing 只] and [thing 条].
"""

RULES = """
# --- 三种故事 -------------------------------------------------------------------------------------

story:
    [opening][treasure][outing][lost][help][rescue][thanks {packed}][ending {plot}] :: plot=treasure
    [opening][missing][search][found][help][rescue][thanks {packed}][ending {plot}] :: plot=keepsake
    [opening][errand][cry][help][rescue][thanks {packed}][ending {plot}] :: plot=creature

# --- 谁 -------------------------------------------------------------------------------------------

opening:
    从前有一个[trait]的[child]，名叫[hero {child}]，{she}和[relative]住在[home]。
    [hero]是个[trait]的{child}，和[relative]一起住在[home]。
    [home]有一座[house]，里面住着[hero]和{she}的[relative]。
    大家都认识[hero]，因为没有哪个孩子[talent]。{she}和[relative]住在[home]。
    你听说过[hero]吗？{she}和[relative]住在[home]的一座[house]里。
    很久以前，[home]住着一个[trait]的[child]，名叫[hero {child}]，还有{she}的[relative]。
    [hero]和[relative]一起住在[home]的一座[house]里。
    再也找不到比[hero]更[trait]的孩子了，连{she}的[relative]也这么说。{she}的家就在[home]。
    [hero]今年[age]岁，和[relative]住在[home]的一座[house]里。
    这个故事讲的是[hero]，一个[trait]的{child}。{she}和[relative]住在[home]。
    “早上好，世界！”[hero]每天都在窗口这样喊，{she}和[relative]住在[home]的一座[house]里。
    每天一大早，[home]就有一个[trait]的[child]起床喂鸡，{she}名叫[hero {child}]，和[relative]住在一起。

child:
    小女孩 :: she=她
    小男孩 :: she=他

hero:
    [hero 小女孩] :: child=小女孩; she=她
    [hero 小男孩] :: child=小男孩; she=他

hero 小女孩:
    朵朵
    小雨
    妞妞
    婷婷
    甜甜
    月月
    小荷
    琪琪
    兰兰
    苗苗
    小雪
    安安

hero 小男孩:
    明明
    小虎
    壮壮
    乐乐
    小刚
    东东
    阿福
    小石
    亮亮
    小川
    大勇
    豆豆

relative:
    妈妈
    爸爸
    奶奶
    爷爷
    姑姑
    舅舅

trait:
    勇敢
    聪明
    善良
    安静
    开朗
    好奇
    倔强
    温柔
    害羞
    活泼

talent:
    口哨吹得比{she}响
    跑得比{she}快
    歌唱得比{she}好听
    故事讲得比{she}有趣

house:
    小白房子
    歪歪斜斜的老房子
    黄房子
    红屋顶的房子
    小木屋
    堆满书的房子

home:
    小巷尽头
    铁路旁边
    钟楼后面
    面包店隔壁
    学校旁边
    大海边
    大山脚下
    小镇边上
    邮局对面
    老桥附近

age:
    五
    六
    七
    八

# --- 心爱的玩具丢了 -------------------------------------------------------------------------------

treasure:
    {hero}过生日的时候，{relative}送给{she}一[toy]，{she}[loved]。
    {relative}亲手给{hero}做了一[toy]，{she}[loved]。
    在所有的东西里，{hero}最喜欢那[toy]，因为那是{relative}送的。
    “要好好爱护它。”{relative}说着，送给{hero}一[toy]。
    {hero}有一[toy]，是{relative}送的，{she}[loved]。
    {hero}最宝贝的是一[toy]，因为那是{relative}亲手做的。
    有一次赶集，{relative}给{hero}买了一[toy]，{she}[loved]。
    别的孩子有很多玩具，{hero}只有{relative}送的一[toy]，可是{she}[loved]。
    有一年冬天，{relative}出远门回来，给{hero}带了一[toy]。

loved:
    走到哪儿都带着它
    一刻也舍不得放下
    逢人就拿出来给人看
    连睡觉都抱着它
    喜欢得不得了
    心里美滋滋的

toy:
    5 只[look][prize=thing 只]
    5 个[look][prize=thing 个]
    2 顶[look][prize=thing 顶]
    2 条[look][prize=thing 条]

look:
    红色的
    蓝色的
    绿色的
    黄色的
    紫色的
    白色的
    漂亮的
    小小的
    带花边的
    崭新的

thing 只:
    风筝
    纸鹤
    纸船
    布老虎
    布小熊

thing 个:
    皮球
    布娃娃
    木偶
    风车
    毽子

thing 顶:
    帽子
    草帽

thing 条:
    围巾
    彩带

outing:
    一个[weather]的[daytime]，{hero}带着{prize}去了[place][scenery]。 :: packed=no
    一个[weather]的[daytime]，{hero}[carried]，来到了[place]。 :: packed=no
    雨终于停了，{hero}[carried]，跑到[place]去玩。 :: packed=no
    一个[weather]的[daytime]，{relative}对{hero}说：“你可以去[place]玩，不过要当心{prize}。” :: packed=no
    {hero}[carried]，在一个[weather]的[daytime]去了[place]。 :: packed=no
    2 一个[weather]的[daytime]，{hero}在[bag]里放了一块[snack]，带着{prize}去了[place][scenery]。 :: packed=yes
    2 {relative}给了{hero}一块[snack]，{hero}把{snack}放进[bag]，[carried]，去了[place]。 :: packed=yes
    2 “这块[snack]你带着。”{relative}说，于是{hero}拿上{snack}，[carried]，去了[place]。 :: packed=yes
    2 那是一个[weather]的[daytime]，{hero}拿上一块[snack]和{prize}，去了[place][scenery]。 :: packed=yes

scenery:
    6
    ，那里鸟儿正在唱歌
    ，那里蜜蜂嗡嗡地飞
    ，那里的草还湿漉漉的
    ，那里阳光正好
    ，那里一个人也没有
    ，那里到处是花香

carried:
    手里拿着{prize}
    怀里抱着{prize}
    把{prize}夹在胳膊下
    把{prize}藏在大衣里

weather:
    晴朗
    刮风
    多云
    暖和
    寒冷
    有雾
    明媚
    凉爽

daytime:
    早晨
    下午
    春日
    夏日
    秋日
    星期天

bag:
    书包
    篮子
    口袋
    背包

snack:
    蜂蜜蛋糕
    饼干
    米糕
    月饼
    绿豆糕
    芝麻糖
    南瓜饼
    葱油饼

place:
    森林 :: land=wood
    树林 :: land=wood
    公园 :: land=wood
    河边 :: land=shore
    湖边 :: land=shore
    池塘边 :: land=shore
    后山 :: land=hills
    草地 :: land=hills
    古堡 :: land=hills
    农场 :: land=farm
    村口 :: land=farm
    磨坊 :: land=farm

trouble wood:
    一棵高高的[treekind]树顶上 :: trouble=tree; skill=不会爬树; count=只
    一个又窄又深的洞底 :: trouble=hole; skill=钻不进这么窄的洞; count=只
    一丛荆棘中间 :: trouble=thorns; skill=怕刺; count=只

trouble shore:
    水中央的一块石头上 :: trouble=water; skill=游不了那么远; count=只
    一大片烂泥中间 :: trouble=mud; skill=走不过烂泥; count=只
    一棵高高的[treekind]树顶上 :: trouble=tree; skill=不会爬树; count=只

trouble hills:
    一面高高的岩壁上 :: trouble=ledge; skill=爬不上岩壁; count=只
    一个又窄又深的洞底 :: trouble=hole; skill=钻不进这么窄的洞; count=只
    一丛荆棘中间 :: trouble=thorns; skill=怕刺; count=只

trouble farm:
    一座谷仓的屋顶上 :: trouble=roof; skill=爬不上屋顶; count=只
    一口枯井的井底 :: trouble=well; skill=下不了井; count=位
    一大片烂泥中间 :: trouble=mud; skill=走不过烂泥; count=只

treekind:
    橡
    松
    梨
    栗子

lost:
    忽然刮来一阵大风，把{prize}从{she}手里吹走，吹到了[stuck]
    一只喜鹊叼起{prize}，飞了一小段，把它丢在[stuck]
    {she}被[树根|石头]绊了一跤，{prize}飞了出去，掉在[stuck]
    {she}把{prize}抛起来又接住，抛起来又接住，最后它落在[stuck]
    {she}正停下来[purpose]，一只喜鹊叼走了{prize}，把它丢在[stuck]
    可是{she}一不小心，{prize}就掉在[stuck]
    “看我的！”{she}对小鸟们喊道，把{prize}高高地抛了出去，结果它落在[stuck]
    {she}还没回过神来，风就把{prize}吹到了[stuck]
    {she}又唱又跳，{prize}从手里滑了出去，掉在[stuck]

stuck:
    [where=trouble {land}]。[try {trouble}]。

# --- 家里的宝贝不见了 -----------------------------------------------------------------------------

missing:
    “唉，我那[dear][prize=keepsake]丢了。”{relative}对{hero}说。
    一个[weather]的[daytime]，{relative}问道：“我那[dear][prize=keepsake]在哪儿呢？”
    有一天，{relative}翻遍了抽屉，又看了椅子下面，[dear][prize=keepsake]还是不见了。
    一个[weather]的[daytime]，{hero}看见{relative}在掉眼泪，因为[dear][prize=keepsake]不见了。
    “你看见我那[dear][prize=keepsake]了吗？”{relative}问{hero}，可是谁也没看见。
    有一天，{relative}把家里翻了个底朝天，可是[dear][prize=keepsake]还是没找到。
    一个[weather]的[daytime]，{relative}饭也不想吃，歌也不想唱，因为[dear][prize=keepsake]不见了。

dear:
    心爱的
    珍贵的
    漂亮的
    银色的
    金色的
    小小的

keepsake:
    戒指
    钥匙
    手表
    胸针
    项链
    木梳
    勺子
    口哨
    铃铛
    手镯
    镜子
    钱包

search:
    {hero}二话没说，就去[place]找。 :: packed=no
    “我一定能找到。”{hero}说完，就跑到[place]去了[scenery]。 :: packed=no
    “会不会丢在[place]了？”{hero}说着，穿上了靴子。 :: packed=no
    于是{hero}来到[place]，把每块石头后面都看了一遍。 :: packed=no
    “别难过。”{hero}说完，马上去了[place][scenery]。 :: packed=no
    2 {hero}在[bag]里放了一块[snack]，动身去[place]找。 :: packed=yes
    2 “总会找到的。”{hero}说着，拿了一块[snack]，去了[place][scenery]。 :: packed=yes
    2 桌上有一块[snack]，{hero}把{snack}放进[bag]，动身去[place]找。 :: packed=yes

found:
    {she}找了很久，才看见{prize}掉在[stuck]
    有什么东西闪闪发亮，原来{prize}就在[stuck]
    {she}没找多久，因为{prize}就落在[stuck]
    {she}走过来走过去，终于看见了{prize}，就在[stuck]
    一只喜鹊在笑，因为它把{prize}丢在[stuck]
    {she}左看右看，上看下看，原来{prize}掉在[stuck]
    天快黑了，{she}的脚都走累了，这才看见{prize}落在[stuck]

# --- 小动物遇到了麻烦 -----------------------------------------------------------------------------

errand:
    一个[weather]的[daytime]，{hero}去[place][purpose]。 :: packed=no
    一个[weather]的[daytime]，{hero}高高兴兴地去[place][purpose]。 :: packed=no
    “我去[place][purpose]。”{hero}对{relative}说完就出了门。 :: packed=no
    雨终于停了，{hero}跑到[place][purpose]。 :: packed=no
    2 {relative}给了{hero}一块[snack]，{hero}带上{snack}，去[place][purpose]。 :: packed=yes
    2 一个[weather]的[daytime]，{hero}在[bag]里放了一块[snack]，去[place][purpose]。 :: packed=yes
    2 “这块[snack]你带着。”{relative}说，于是{hero}带上{snack}，去[place][purpose]。 :: packed=yes

purpose:
    采花
    捡羽毛
    听鸟叫
    捡漂亮的石子
    画画
    看云

cry:
    忽然，{she}听见一个细细的声音，原来有一只[tiny][prize=creature]坐在[stuck]
    “救命啊，救命啊！”有谁在喊，原来有一只[tiny][prize=creature]坐在[stuck]
    {she}看见一只[tiny][prize=creature]，它浑身发抖，困在[stuck]
    有谁在哭，{hero}四处一看，发现一只[tiny][prize=creature]坐在[stuck]
    一只[tiny][prize=creature]迷了路，困在[stuck]
    “我想回家。”一个细细的声音说，原来有一只[tiny][prize=creature]困在[stuck]
    {she}发现了一只[tiny][prize=creature]，它已经等了好几个小时，困在[stuck]

tiny:
    毛茸茸的
    胖乎乎的
    可怜的
    饿坏了的
    黑黑的
    雪白的

creature:
    小猫
    小鸡
    小仓鼠
    小熊
    小猴子
    小浣熊
    小猫头鹰
    小鹦鹉

# --- 自己先试一试 ---------------------------------------------------------------------------------

try tree:
    [tried]试着爬上去，可是{why} :: why=最低的树枝也太高了
    [tried]使劲往上跳，可是{why} :: why={she}的胳膊太短了
    [tried]站到一块大石头上，可是{why} :: why=还差一大截
    [tried]用力摇树，可是{why} :: why=树太粗了

try roof:
    [tried]去找梯子，可是{why} :: why=哪儿也没有梯子
    [tried]站到一个木桶上，可是{why} :: why=还差一大截
    [tried]使劲往上跳，可是{why} :: why={she}的胳膊太短了
    [tried]试着爬上去，可是{why} :: why=墙太滑了

try ledge:
    [tried]试着爬上去，可是{why} :: why=石头都松了
    [tried]去找别的路，可是{why} :: why=哪儿也没有别的路
    [tried]站到一块大石头上，可是{why} :: why=还差一大截
    [tried]去找梯子，可是{why} :: why=哪儿也没有梯子

try water:
    [tried]走进水里，可是{why} :: why=水太深了
    [tried]去找船，可是{why} :: why=哪儿也没有船
    [tried]伸出一根长棍子，可是{why} :: why=棍子太短了
    [tried]脱了鞋，可是{why} :: why=水太冷了

try mud:
    [tried]迈出一步，可是{why} :: why=烂泥没过了膝盖
    [tried]伸出一根长棍子，可是{why} :: why=棍子太短了
    [tried]铺上一块木板，可是{why} :: why=木板沉下去了
    [tried]去找别的路，可是{why} :: why=哪儿也没有别的路

try hole:
    [tried]把胳膊伸进去，可是{why} :: why=洞太深了
    [tried]用双手挖，可是{why} :: why=土太硬了
    [tried]伸出一根长棍子，可是{why} :: why=棍子太短了
    [tried]试着钻进去，可是{why} :: why=洞太小了

try thorns:
    [tried]把手伸进去，可是{why} :: why=刺把手扎疼了
    [tried]试着拨开树枝，可是{why} :: why=树枝太硬了
    [tried]从下面往里爬，可是{why} :: why=刺勾住了大衣
    [tried]伸出一根长棍子，可是{why} :: why=棍子太短了

try well:
    [tried]趴在井边往下够，可是{why} :: why=井太深了
    [tried]去找梯子，可是{why} :: why=哪儿也没有梯子
    [tried]放下一根长树枝，可是{why} :: why=树枝太短了
    [tried]试着爬下去，可是{why} :: why=墙太滑了

tried:
    4 {she}
    2 {hero}
    于是{she}
    {she}赶紧
    {hero}马上

# --- 谁来帮忙 -------------------------------------------------------------------------------------

help:
    3 [sad][arrival]
    2 [unhelpful][arrival]
    1 [arrival]

sad:
    {hero}坐下来哭了。
    “我该怎么办呢？”{she}叹了一口气。
    “我一个人肯定不行。”{hero}心想。
    一颗大大的泪珠从{she}脸上滚了下来。
    {hero}不知道怎么办才好。
    不过，{hero}没有轻易放弃。
    “有谁能帮帮我吗？”{hero}大声喊道。
    这下{she}真的难过了。

unhelpful:
    先来了[someone]。“我很想帮忙，”{other}说，“可是我{skill}。”
    {she}去求[someone]，可是{other}{skill}。
    “你能帮帮我吗？”{she}问[someone]。“对不起，我{skill}。”{other}说。
    [someone]停下来看了看，可是它{skill}。

someone:
    2 一头[other=other 头]
    3 一只[other=other 只]
    1 一匹[other=other 匹]

other 头:
    奶牛
    毛驴

other 只:
    绵羊
    母鸡
    火鸡

other 匹:
    小马

arrival:
    就在这时，来了一{count}名叫[pal]的[helper {trouble}]。“[boast {way}]。”{helper}{pal}说。
    “别担心。”一个亲切的声音说，原来是[helper {trouble}][pal]。“[boast {way}]。”{pal}说。
    “我叫[pal]，我全都看见了。”一{count}[helper {trouble}]说。“[boast {way}]。”
    幸好{she}想起了好朋友[pal]，一{count}[helper {trouble}]，{pal}马上就来了。
    后来，一{count}名叫[pal]的[helper {trouble}]路过，问出了什么事。“[boast {way}]。”{helper}{pal}说。
    {hero}跑去找[helper {trouble}][pal]。“[boast {way}]。”{helper}{pal}说。
    过了一会儿，{she}遇到一{count}名叫[pal]的[helper {trouble}]，就请{pal}帮忙。
    “谁在这里吵吵闹闹的？”一{count}名叫[pal]的[helper {trouble}]问道。{hero}把事情都告诉了{helper}{pal}。
    {she}不停地喊，[trait]的[helper {trouble}][pal]终于听见了。“[boast {way}]。”{helper}{pal}说。
    不远处住着一{count}[trait]的[helper {trouble}]，名叫[pal]。“[boast {way}]。”{helper}{pal}说。

pal:
    皮皮
    毛毛
    奇奇
    阿黄
    丁丁
    当当
    嘟嘟
    咪咪
    波波
    点点
    灰灰
    卡卡

helper tree:
    松鼠 :: way=climb
    乌鸦 :: way=fly
    啄木鸟 :: way=fly

helper roof:
    花猫 :: way=climb
    鸽子 :: way=fly
    燕子 :: way=fly

helper ledge:
    山羊 :: way=climb
    老鹰 :: way=fly
    大雁 :: way=fly

helper water:
    鸭子 :: way=swim
    河狸 :: way=swim
    天鹅 :: way=swim

helper mud:
    白鹭 :: way=wade
    仙鹤 :: way=wade
    火烈鸟 :: way=wade

helper hole:
    老鼠 :: way=burrow
    鼹鼠 :: way=burrow
    兔子 :: way=burrow

helper thorns:
    刺猬 :: way=push
    乌龟 :: way=push
    蜥蜴 :: way=push

helper well:
    农夫 :: way=rope
    牧羊人 :: way=rope
    水手 :: way=rope

boast climb:
    再高我也能爬
    我爬得比谁都好
    我从来不怕高
    我天天都在爬

boast fly:
    我能飞上去
    这很容易，因为我有翅膀
    我从来不怕高
    我飞得比谁都好

boast swim:
    我能游过去再游回来
    我游得比谁都好
    我最喜欢水了
    我天天都在游

boast wade:
    我的腿够长
    这很容易，因为我有两条长腿
    我最喜欢烂泥了
    我天天都在这里走

boast burrow:
    再窄的洞我也能钻
    这很容易，因为我就住在地下
    我从来不怕黑
    我天天都在挖洞

boast push:
    刺扎不疼我
    这很容易，因为我的皮很厚
    我从来不怕刺
    我天天都睡在刺下面

boast rope:
    我有一根长绳子
    这很容易，因为我的绳子又粗又长
    我的绳子够长
    我从来不怕黑

# --- 怎么救出来的 ---------------------------------------------------------------------------------

rescue:
    [easily]，{pal}[deed {way}]，把{prize}送到了{hero}面前。
    {helper}[deed {way}]，抓住了{prize}，不一会儿它就回到了{hero}身边，[unharmed]。
    {pal}[deed {way}]，{hero}很快又见到了{prize}，[unharmed]。
    “[ready]！”{pal}喊道，[deed {way}]，把{prize}带了回来。
    {hero}屏住呼吸，看着{pal}[deed {way}]，把{prize}带了回来，[unharmed]。
    [easily]，{helper}[deed {way}]，{prize}又回到了{hero}的怀里。
    {pal}笑了笑，[deed {way}]，把{prize}救了出来。
    果然，{pal}[deed {way}]，把{prize}放到{she}脚边，[unharmed]。
    {pal}试了三次，第三次[deed {way}]，终于把{prize}带了回来。

ready:
    等着
    看我的
    这有什么难的
    交给我吧

deed climb:
    一步一步爬了上去
    越爬越高
    飞快地爬了上去
    头也不回地往上爬

deed fly:
    飞了上去
    张开翅膀
    腾空飞起
    越飞越高

deed swim:
    游了过去
    跳进水里
    飞快地游了起来
    绕了一个大圈游过去

deed wade:
    走过烂泥
    迈了三大步
    一步一步走了过去
    抬起一条腿，又抬起另一条

deed burrow:
    钻进洞里
    挖了一条小地道
    摸黑钻了下去
    飞快地爬了下去

deed push:
    钻过荆棘
    从枝叶下面爬了进去
    拨开树枝
    大步走进荆棘里

deed rope:
    顺着绳子爬了下去
    把绳子拴在树上
    用绳子放下一个篮子
    摸黑爬了下去

easily:
    二话不说
    一转眼
    不慌不忙
    说干就干
    一、二、三

unharmed:
    一点儿也没伤着
    好端端的
    只是沾了一点儿灰
    就像什么事也没发生过

# --- 道谢 -----------------------------------------------------------------------------------------

thanks yes:
    {hero}把{snack}掰成两半，大的那一半给了{pal}。
    “谢谢你，{pal}。”{hero}说着，和{helper}一起吃了{snack}。
    为了表示感谢，{she}把{snack}送给了{pal}。
    他们在草地上坐下来，一起吃了{snack}。
    “你饿了吗？”{hero}问道，{pal}一口就把{snack}吃掉了。
    {hero}拿出{snack}，{pal}[joy]。
    “这块{snack}是给你的，{pal}。”{hero}说。
    {hero}和{pal}一起吃了{snack}，[joy]。

thanks no:
    “谢谢你，{pal}。”{hero}说着，[joy]。
    {hero}谢过{helper}，[joy]。
    “我该怎么谢你呢？”{hero}问道。“[wish]。”{pal}说。
    {hero}心里乐开了花，[joy]。
    “你真是我的好朋友，{pal}。”{hero}说。
    {hero}谢了{pal}一百遍。
    “[wish]。”{pal}说，{hero}答应了。
    {hero}抱了抱{pal}，[joy]。

joy:
    高兴得转起圈来
    唱起歌来
    哈哈大笑起来
    笑得合不拢嘴
    高兴得跳了起来

wish:
    给我唱首歌吧
    以后常来看我吧
    做我的朋友吧
    给我讲个故事吧
    别忘了我

# --- 结尾 -----------------------------------------------------------------------------------------

ending treasure:
    从那天起，{hero}更加爱护{prize}了。
    “你怎么去了这么久？”{relative}问道。“我丢了{prize}，却得到了一个朋友。”{hero}说。
    那天晚上，{prize}就放在{she}的床边，{hero}在梦里见到了{helper}。
    晚上，{she}告诉{relative}，{pal}是怎么救回{prize}的。
    第二天，{she}和{relative}一起回到那里，给{pal}带去了[gift]。
    后来，{hero}和{pal}成了最好的朋友，常常一起玩{prize}。
    回到家里，{relative}已经做好了晚饭，{hero}把整个故事讲了一遍。
    后来，{prize}再也没有丢过，因为{hero}总是用两只手拿着它。

ending keepsake:
    {hero}跑回家，把{prize}交给{relative}，{relative}[moved]。
    “它掉在{where}。”{hero}回家告诉{relative}，递上了{prize}。
    回到家里，{relative}把{prize}收好，抱了抱{hero}。
    “我的{prize}！”{relative}喊道。“你是怎么找到的？”
    {hero}把{prize}带回家的时候，{relative}[moved]。
    那天晚上，{relative}烤了一个蛋糕，第一块就是给{pal}的。
    “闭上眼睛。”{hero}回家说，把{prize}放到了{relative}手里。
    {relative}正在门口等着，一看见{prize}，就[moved]。

moved:
    高兴得哭了
    又哭又笑
    高兴得说不出话来
    又高兴起来了

ending creature:
    {prize}跟着{hero}回了家，{relative}给了它[gift]。
    不久，{prize}的妈妈跑来了，谢了他们好几遍。
    “我可以养它吗？”{hero}回家问道。{relative}笑着[点了点头|答应了]。
    {hero}把{prize}抱回了家，给了它[gift]。
    那天晚上，{prize}睡在{she}的床脚边，{hero}在梦里见到了{helper}。
    后来，{hero}、{pal}和{prize}成了最好的朋友。
    回到家里，{relative}给{prize}铺了一张小床，它很快就睡着了。
    晚上，{she}告诉{relative}，{pal}是怎么救出{prize}的。

gift:
    一碗热牛奶
    一个大红苹果
    一块小点心
    一条软软的毯子
"""

QUESTIONS = """
always:
    who hero: 这个故事讲的是谁？ / 故事里的孩子叫什么名字？ / 这个故事的主人公是谁？ => {hero}
    > who relative: {she}和谁住在一起？ / 谁和{she}一起生活？ => {relative}
    > where home: {she}住在哪里？ / {she}的家在哪儿？ => 在{home}
    who relative: {hero}和谁住在一起？ / 谁和{hero}一起生活？ => {relative}
    where home: {hero}住在哪里？ / {hero}的家在哪儿？ => 在{home}
    > who relative: {she}和谁一起住在那儿？ / 那儿还住着谁？ => {relative}
    where went: {hero}去了哪里？ / 故事发生在什么地方？ => {place}
    where spot: {prize}在哪里？ / {hero}是在哪里看见{prize}的？ => 在{where}
    > why obstacle: 为什么{she}自己够不着？ / {she}自己为什么没有办法？ => 因为{why}
    > who helper: 后来是谁帮了{she}？ / 最后谁帮上了忙？ => {helper}{pal}
    why obstacle: 为什么{hero}自己拿不到{prize}？ / {hero}为什么需要别人帮忙？ => 因为{why}
    > who helper: 后来是谁帮了{she}？ / 最后谁帮上了忙？ => {helper}{pal}
    who helper: 谁帮了{hero}？ / 是谁救了{prize}？ / 最后是谁帮了{hero}的忙？ => {helper}{pal}
    > why obstacle: {she}为什么需要帮忙？ / 为什么{she}一个人不行？ => 因为{why}
    what pal_name: 帮忙的{helper}叫什么名字？ / {helper}叫什么？ => {pal}
    what pal_kind: {pal}是谁？ / 名叫{pal}的是谁？ => 一{count}{helper}
    order tried: {hero}自己试着去拿，是在{pal}来之前还是之后？ / {hero}是在{pal}来之前还是之后自己试的？ => 之前
    order order: {hero}先自己试，还是{pal}先来？ / 是{pal}先来，还是{hero}先自己试？ => {hero}先自己试
    order first: {hero}先遇到谁，{other}还是{helper}？ / 谁先来，{helper}还是{other}？ => {other}
    > why other_why: 它为什么帮不上忙？ / 为什么它没有帮忙？ => 因为它{skill}
    why other_why: 为什么{other}帮不上忙？ / {other}为什么没有帮{hero}？ => 因为它{skill}

plot=treasure:
    what lost: {hero}丢了什么？ / {hero}把什么弄丢了？ => {prize}
    > who giver: 它是谁给{she}的？ / {she}是从谁那里得到它的？ => {relative}
    > where spot: 它落在哪里了？ / 它掉在哪儿了？ => 在{where}
    what look: {hero}的{prize}是什么样的？ / {prize}是什么样子的？ => {look}
    who giver: {hero}的{prize}是谁给的？ / 谁把{prize}给了{hero}？ => {relative}

plot=keepsake:
    what missing: {relative}丢了什么？ / {hero}要找什么？ => {prize}
    > who finder: 谁去找它了？ / 是谁找到了它？ => {hero}
    > where spot: 它在哪里？ / 它落在哪儿了？ => 在{where}
    who owner: 谁丢了{prize}？ / {prize}是谁丢的？ => {relative}
    why search: {hero}为什么去{place}？ / {hero}去{place}做什么？ => 去找{prize}
    > where spot: 它在哪里？ / {she}最后在哪里看见了它？ => 在{where}

plot=creature:
    who found: 谁遇到了麻烦？ / {hero}发现了谁？ => 一只{tiny}{prize}
    > where spot: 它在哪里？ / 它困在什么地方？ => 在{where}
    > who helper: 谁救了它？ / 最后是谁帮了它？ => {helper}{pal}
    why errand: {hero}为什么去{place}？ / {hero}去{place}做什么？ => 去{purpose}
    > who found: {she}在那里发现了谁？ / 谁在那里遇到了麻烦？ => 一只{tiny}{prize}

packed=yes:
    what snack: {hero}带了什么吃的？ / {hero}带了什么点心？ => 一块{snack}
"""
