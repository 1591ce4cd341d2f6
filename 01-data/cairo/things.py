"""What one-off facts are made o hidden objects, doors, chores, prices, rumours, in English and Arabic.

Answers that are put together (under the blue carpet, 14 May) are listed whole, so that they can be read back.
Prepositions, months and digits are grammar: nothing of them is held out. Data only.
"""

from chronos.data.cairo.values import Value, part, pool

OBJECTS = pool("""
key|المفتاح; passport|جواز السفر; ring|الخاتم; wallet|المحفظة; diary|دفتر اليوميات; map|الخريطة;
coin|القرش القديم; letter|الرسالة; camera|الكاميرا; necklace|القلادة; torch|الكشاف; flute|الصفارة;
medal|الميدالية; knife|السكين; photo|الصورة; compass|البوصلة; stamp|الطابع; pearl|اللؤلؤة; feather|الريشة;
dagger|الخنجر; mirror|المرآة; seal|الختم; candle|الشمعة; bell|الجرس; brooch|البروش; contract|العقد;
will|الوصية; cheque|الشيك; notebook|الكراس; memory card|بطاقة الذاكرة; bracelet|السوار; gold bar|السبيكة;
silver spoon|الملعقة الفضية; lottery ticket|تذكرة اليانصيب; doll|الدمية; amulet|التعويذة; flag|العلم;
recipe book|كتاب الوصفات; chess piece|قطعة الشطرنج; crown|التاج
""")

DOORS = pool("""
garage|الجراج; gate|البوابة; office|المكتب; safe|الخزنة; locker|الدولاب; studio|الاستوديو; cellar|القبو;
roof|السطح; shed|المخزن; library|المكتبة; clinic|العيادة; bakery|المخبز; workshop|الورشة; stable|الإسطبل;
harbour|الميناء; archive|الأرشيف; kiosk|الكشك الصغير; laundry|المغسلة; gym|صالة الرياضة;
hotel room|غرفة الفندق; school|المدرسة; factory|المصنع; warehouse|المستودع; pharmacy|الصيدلية;
lift|المصعد; tower|البرج; club|النادي; printing house|المطبعة; greenhouse|الصوبة; courtyard|الفناء;
server room|غرفة الخوادم; backyard|الحوش
""")

ITEMS = pool("""
umbrella|مظلتي; guitar|جيتاري; novel|روايتي; laptop|حاسوبي; drill|مثقابي; tent|خيمتي; coat|معطفي;
helmet|خوذتي; kettle|غلايتي; suitcase|حقيبتي; charger|شاحني; bicycle|دراجتي; dictionary|قاموسي;
hammer|مطرقتي; tripod|حاملي الثلاثي; violin|كماني; atlas|أطلسي; backpack|حقيبة ظهري; telescope|تلسكوبي;
blender|خلاطي; ladder|سلمي الخشبي; radio|مذياعي; sewing machine|ماكينة خياطتي; chessboard|رقعة شطرنجي;
printer|طابعتي; scarf|وشاحي; heater|مدفأتي; projector|جهاز العرض الخاص بي; typewriter|آلتي الكاتبة;
fishing rod|صنارتي; raincoat|معطف المطر الخاص بي; calculator|آلتي الحاسبة
""")

GOODS = pool("""
carpet|السجادة; lamp|المصباح; sofa|الأريكة; television|التلفاز; desk|المكتب الخشبي; fridge|الثلاجة;
oven|الفرن; painting|اللوحة; piano|البيانو; fan|المروحة; phone|الهاتف الجديد; bookcase|خزانة الكتب;
mattress|المرتبة; curtain|الستارة; washing machine|الغسالة; microphone|الميكروفون; aquarium|حوض السمك;
clock|ساعة الحائط; vase|المزهرية; chandelier|الثريا; tea set|طقم الشاي; wardrobe|خزانة الملابس;
perfume|العطر; jacket|السترة; drum|الطبلة; rocking chair|الكرسي الهزاز; tablet|الجهاز اللوحي;
vacuum cleaner|المكنسة الكهربائية; birdcage|قفص العصافير; statue|التمثال; toolbox|صندوق العدة;
hammock|الأرجوحة الشبكية
""")

SUBJECTS = pool("""
the museum|المتحف; the old cinema|مبنى السينما; the bridge|الجسر; the market|السوق;
the university|الحرم الجامعي; the hospital|المستشفى; the lion house|بيت الأسود; the theatre|المسرح;
the airport|المطار; the mosque|المسجد الكبير; the opera house|مبنى الأوبرا; the stadium|الاستاد;
the train platform|رصيف القطار; the restaurant|المطعم; the park|المتنزه; the river bus|الأتوبيس النهري;
the post office|مكتب البريد; the bank branch|فرع البنك; the bookshop|متجر الكتب; the barber|صالون الحلاقة;
the palace|القصر; the newspaper|مبنى الجريدة; the fish market|سوق السمك; the monastery|الدير;
the fountain|سبيل الماء; the corner shop|دكان الناصية; the flower stall|كشك الزهور;
the swimming pool|حمام السباحة; the embassy|مقر السفارة; the wedding hall|قصر الأفراح;
the lighthouse|الفنار; the planetarium|مبنى القبة السماوية
""")

CLAIMS = pool("""
will close in spring|سيغلق في الربيع; is up for sale|معروض للبيع;
will be painted white|سيدهن باللون الأبيض; needs a new roof|يحتاج إلى سقف جديد;
has a new owner|صار له مالك جديد; is said to be haunted|مسكون بالأشباح; opens before dawn|يفتح قبل الفجر;
was built in a single year|بني في سنة واحدة; will be twice as large|سيصبح ضعف حجمه;
is looking for a guard|يبحث عن حارس; has no electricity|بلا كهرباء;
is free of charge on Fridays|مجاني أيام الجمعة; was in a famous film|ظهر في فيلم مشهور;
loses money every month|يخسر المال كل شهر; has a secret door|فيه باب سري; will be torn down|سيهدم;
is full of cats|مليء بالقطط; was closed for a week|أغلق لمدة أسبوع;
is older than the city|أقدم من المدينة; will get a new name|سيحصل على اسم جديد;
has the best view|له أجمل إطلالة; is never crowded|لا يزدحم أبدا;
was flooded last winter|غرق في الشتاء الماضي; will move elsewhere|سينتقل إلى مكان آخر
""")

CHORES = pool("""
fix the old radio|أصلح الراديو القديم; water the plants|أسقي النباتات; return the books|أعيد الكتب;
bake a lemon cake|أخبز كعكة الليمون; paint the balcony|أدهن الشرفة; feed the cat|أطعم القطة;
translate the letter|أترجم الخطاب; teach chess to the children|أعلم الأطفال الشطرنج;
repair the fence|أرمم السور; write a poem|أكتب قصيدة; carry the boxes|أحمل الصناديق;
sing at the wedding|أغني في الفرح; bring fresh bread|أحضر الخبز الطازج; clean the windows|أنظف النوافذ;
plant an olive tree|أزرع شجرة زيتون; keep the secret|أحفظ السر;
drive to the airport|أقود السيارة إلى المطار; cook on Friday|أطبخ يوم الجمعة;
quit smoking|أقلع عن التدخين; learn to swim|أتعلم السباحة; call every evening|أتصل كل مساء;
buy the concert tickets|أشتري تذاكر الحفل; sew the curtain|أخيط الستارة; walk the dog|أنزه الكلب;
mend the fishing net|أصلح شبكة الصيد; read the manuscript|أقرأ المخطوط; visit the grave|أزور القبر;
pay the rent|أدفع الإيجار; sharpen the knives|أسن السكاكين; sweep the stairs|أكنس السلم;
print the photos|أطبع الصور; wake up early|أستيقظ مبكرا; tune the piano|أضبط أوتار البيانو;
record the song|أسجل الأغنية; sell the old car|أبيع السيارة القديمة; guard the house|أحرس البيت;
polish the shoes|ألمع الحذاء; collect the parcel|أستلم الطرد; count the votes|أعد الأصوات;
tell the truth|أقول الحقيقة
""")

COLOURS = pool("""
blue|الأزرق|الزرقاء; red|الأحمر|الحمراء; green|الأخضر|الخضراء; yellow|الأصفر|الصفراء;
white|الأبيض|البيضاء; black|الأسود|السوداء; brown|البني|البنية; grey|الرمادي|الرمادية;
golden|الذهبي|الذهبية; silver|الفضي|الفضية; pink|الوردي|الوردية; purple|البنفسجي|البنفسجية
""")

FURNITURE = pool("""
stone|الحجر; box|الصندوق; f:rug|السجادة; pot|الإناء; chair|الكرسي; f:tree|الشجرة; shelf|الرف; bed|السرير;
f:basket|السلة; f:clock|الساعة; bucket|الدلو; stove|الموقد; f:pillow|الوسادة; barrel|البرميل;
bench|المقعد; trunk|صندوق السفر; f:table|الطاولة; wall|الجدار; f:jar|الجرة; f:bag|الحقيبة;
f:cupboard|الخزانة; staircase|الدرج; f:cart|العربة; f:shutter|النافذة
""")

PREPOSITIONS = pool("under|تحت; behind|خلف; inside|داخل; beside|بجانب")

MONTHS = pool("""
January|يناير; February|فبراير; March|مارس; April|أبريل; May|مايو; June|يونيو; July|يوليو; August|أغسطس;
September|سبتمبر; October|أكتوبر; November|نوفمبر; December|ديسمبر
""")


def _hidden(how: Value, colour: Value, thing: Value) -> Value:
    arabic = f"{how.ar} {thing.ar} {colour.form('ar', thing.female)}"
    return Value(f"{how.en} the {colour.en} {thing.en}", arabic)


def hiding_places(which: str, percent: int) -> tuple[Value, ...]:
    """Every "under the blue rug" of a part of the colours and the furniture."""
    return tuple(
        _hidden(how, colour, thing)
        for how in PREPOSITIONS
        for colour in part(COLOURS, which, percent)
        for thing in part(FURNITURE, which, percent)
    )


BIRTHDAYS = tuple(Value(f"{day} {month.en}", f"{day} {month.ar}") for month in MONTHS for day in range(1, 29))
SUMS = tuple(Value(f"{100 * n} pounds", f"{100 * n} جنيه") for n in range(1, 100))
