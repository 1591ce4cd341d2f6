"""What a life can be about: places, drinks, moods and foods, each in English and Arabic.

Arabic drinks, foods and places are definite, so that no case ending shows; moods have a form for a man and
one for a woman. The last quarter of each pool is held out. Data only.
"""

from chronos.data.cairo.values import pool

PLACES = pool("""
Zamalek|الزمالك; Maadi|المعادي; Heliopolis|مصر الجديدة; Dokki|الدقي; Mohandessin|المهندسين;
Garden City|جاردن سيتي; Khan el-Khalili|خان الخليلي; Nasr City|مدينة نصر; Giza|الجيزة; Shubra|شبرا;
Imbaba|إمبابة; Agouza|العجوزة; Mokattam|المقطم; Helwan|حلوان; Manial|المنيل; Roda Island|جزيرة الروضة;
Zeitoun|الزيتون; Abbasia|العباسية; Bulaq|بولاق; Sayeda Aisha|السيدة عائشة; Azbakeya|الأزبكية;
Ataba|العتبة; Bab el-Louk|باب اللوق; Bab Zuweila|باب زويلة; Fustat|الفسطاط; Old Cairo|مصر القديمة;
Downtown|وسط البلد; Sheikh Zayed|الشيخ زايد; New Cairo|القاهرة الجديدة; Madinaty|مدينتي; Obour|العبور;
Badr City|مدينة بدر; Shorouk|الشروق; Basateen|البساتين; Dar el-Salam|دار السلام; Tora|طرة;
Matareya|المطرية; Ain Shams|عين شمس; Marg|المرج; Hadayek el-Kobba|حدائق القبة; Rod el-Farag|روض الفرج;
Sharabeya|الشرابية; Gamaleya|الجمالية; Darb el-Ahmar|الدرب الأحمر; Moski|الموسكي; Faggala|الفجالة;
Kit Kat|الكيت كات; Warraq|الوراق; Faisal Street|شارع فيصل; Haram Street|شارع الهرم; Omraneya|العمرانية;
Kerdasa|كرداسة; Saqqara|سقارة; Dahshur|دهشور; Tahrir Square|ميدان التحرير; Ghamra|غمرة;
Sakakini|السكاكيني; Daher|الضاهر; Amireya|الأميرية; Nozha|النزهة; Almaza|ألماظة; Katameya|القطامية;
Talbeya|الطالبية; Bein el-Sarayat|بين السرايات
""")

DRINKS = pool("""
mint tea|الشاي بالنعناع; black tea|الشاي الأسود; Turkish coffee|القهوة التركية;
coffee with milk|القهوة بالحليب; karkadeh|الكركديه; sahlab|السحلب; sugarcane juice|عصير القصب;
mango juice|عصير المانجو; lemonade|عصير الليمون; tamarind juice|التمر الهندي; guava juice|عصير الجوافة;
anise tea|الينسون; cola|الكولا; orange juice|عصير البرتقال; carob juice|شراب الخروب;
licorice juice|العرقسوس; cinnamon milk|الحليب بالقرفة; hot chocolate|الشوكولاتة الساخنة;
pomegranate juice|عصير الرمان; strawberry juice|عصير الفراولة; ginger tea|شاي الزنجبيل;
fenugreek tea|الحلبة; cold milk|الحليب البارد; apple juice|عصير التفاح; banana milk|الموز بالحليب;
ayran|العيران; iced coffee|القهوة المثلجة; mineral water|المياه المعدنية; carrot juice|عصير الجزر;
watermelon juice|عصير البطيخ; pineapple juice|عصير الأناناس; green tea|الشاي الأخضر;
peach juice|عصير الخوخ; coconut water|ماء جوز الهند; barley drink|شراب الشعير; sage tea|شاي المريمية;
fig juice|عصير التين; apricot nectar|قمر الدين; caraway tea|شاي الكراوية; thyme tea|شاي الزعتر;
chamomile tea|شاي البابونج; cardamom coffee|القهوة بالهيل; almond milk|حليب اللوز; soda water|مياه الصودا
""")

MOODS = pool("""
happy|سعيد|سعيدة; sad|حزين|حزينة; calm|هادئ|هادئة; anxious|قلق|قلقة; angry|غاضب|غاضبة;
excited|متحمس|متحمسة; tired|متعب|متعبة; hopeful|متفائل|متفائلة; lonely|وحيد|وحيدة; proud|فخور|فخورة;
grateful|ممتن|ممتنة; nervous|متوتر|متوترة; cheerful|مرح|مرحة; gloomy|كئيب|كئيبة; worn out|مرهق|مرهقة;
confident|واثق من نفسي|واثقة من نفسي; confused|حائر|حائرة; content|راض|راضية; upset|منزعج|منزعجة;
homesick|مستوحش|مستوحشة; afraid|خائف|خائفة; joyful|مبتهج|مبتهجة; disappointed|محبط|محبطة;
relaxed|مسترخ|مسترخية; full of energy|مليء بالنشاط|مليئة بالنشاط; ashamed|خجول|خجولة; sleepy|ناعس|ناعسة;
thankful|شاكر|شاكرة; desperate|يائس|يائسة; at peace|مطمئن|مطمئنة; amazed|مندهش|مندهشة; on edge|عصبي|عصبية;
patient|صبور|صبورة; melancholy|مهموم|مهمومة; delighted|مسرور|مسرورة; restless|مضطرب|مضطربة;
jealous|غيور|غيورة; optimistic about everything|مقبل على الحياة|مقبلة على الحياة;
distracted|شارد الذهن|شاردة الذهن; remorseful|نادم|نادمة; wary|حذر|حذرة; serious|جاد|جادة;
fed up|ساخط|ساخطة; astonished|مذهول|مذهولة
""")

FOODS = pool("""
koshari|الكشري; ful|الفول المدمس; taameya|الطعمية; molokhia|الملوخية; hawawshi|الحواوشي; feteer|الفطير;
mahshi|المحشي; shawarma|الشاورما; kofta|الكفتة; besara|البصارة; fattah|الفتة;
macaroni bechamel|المكرونة بالبشاميل; rice pudding|الأرز بالحليب; grilled fish|السمك المشوي;
lentil soup|شوربة العدس; stuffed pigeon|الحمام المشوي; moussaka|المسقعة; basbousa|البسبوسة;
kunafa|الكنافة; shakshouka|الشكشوكة; kebab|الكباب; fried liver|الكبدة المقلية;
grilled chicken|الفراخ المشوية; bamia|البامية; stuffed vine leaves|ورق العنب; sayadeya|الصيادية;
roast duck|البط المشوي; baked rice|الأرز المعمر; baba ghanoush|بابا غنوج; hummus|الحمص بالطحينة;
fried eggplant|الباذنجان المقلي; potato tagine|طاجن البطاطس; shrimp tagine|طاجن الجمبري;
fried calamari|الكاليماري المقلي; kishk|الكشك; umm ali|أم علي; qatayef|القطايف; zalabia|الزلابية;
baklava|البقلاوة; sesame halwa|الحلاوة الطحينية; white cheese|الجبنة البيضاء; vegetable soup|شوربة الخضار;
chicken soup|شوربة الدجاج; white beans|الفاصوليا البيضاء; green peas|البسلة الخضراء;
spinach pie|فطيرة السبانخ; tomato salad|سلطة الطماطم; yoghurt salad|سلطة الزبادي; pizza|البيتزا;
cabbage rolls|محشي الكرنب; couscous|الكسكسي; freekeh|الفريك; goulash pastry|الجلاش; lasagna|اللازانيا;
lamb chops|ريش الضأن; beef stew|يخنة اللحم; tuna sandwich|ساندويتش التونة; egg sandwich|ساندويتش البيض;
date cookies|كعك التمر; semolina cake|كعكة السميد; potato salad|سلطة البطاطس; mombar|الممبار;
roast lamb|الخروف المشوي; orzo soup|شوربة لسان العصفور
""")
