"""Two hundred people, by their first names: companions, neighbours, those who say something.

The order of each list decides which quarter is held out. Data only.
"""

from itertools import chain

from chronos.data.cairo.values import pool

MEN = pool("""
Omar|عمر; Hassan|حسن; Youssef|يوسف; Karim|كريم; Tarek|طارق; Amr|عمرو; Khaled|خالد; Sherif|شريف;
Mahmoud|محمود; Ali|علي; Ziad|زياد; Mostafa|مصطفى; Adel|عادل; Fady|فادي; Ramy|رامي; Hossam|حسام;
Bassem|باسم; Wael|وائل; Samy|سامي; Tamer|تامر; Ahmed|أحمد; Mohamed|محمد; Ibrahim|إبراهيم; Hany|هاني;
Magdy|مجدي; Ashraf|أشرف; Emad|عماد; Gamal|جمال; Hatem|حاتم; Walid|وليد; Yasser|ياسر; Sameh|سامح;
Nader|نادر; Medhat|مدحت; Fathy|فتحي; Galal|جلال; Hamdy|حمدي; Ismail|إسماعيل; Kamal|كمال; Lotfy|لطفي;
Maged|ماجد; Nabil|نبيل; Osama|أسامة; Ragab|رجب; Saad|سعد; Taha|طه; Wahid|وحيد الدين; Yehia|يحيى;
Zakaria|زكريا; Akram|أكرم; Ayman|أيمن; Badawi|بدوي; Diaa|ضياء; Ehab|إيهاب; Farouk|فاروق; Ghaly|غالي;
Haitham|هيثم; Islam|إسلام; Khairy|خيري; Labib|لبيب; Mazen|مازن; Nagy|ناجي; Rafik|رفيق; Sabry|صبري;
Tawfik|توفيق; Wagdy|وجدي; Zaki|زكي; Anwar|أنور; Essam|عصام; Fouad|فؤاد; Hisham|هشام; Ihab|مهاب;
Mamdouh|ممدوح; Nasser|ناصر; Rashad|رشاد; Salah|صلاح; Tharwat|ثروت; Wagih|وجيه; Zein|زين; Bahgat|بهجت;
Ezzat|عزت; Fekry|فكري; Hussein|حسين; Moataz|معتز; Naguib|نجيب; Refaat|رفعت; Shady|شادي; Talaat|طلعت;
Atef|عاطف; Bishoy|بيشوي; Girgis Hanna|جرجس حنا; Hazem|حازم; Kareem Eldin|كريم الدين; Loay|لؤي; Mina|مينا;
Nour Eldin|نور الدين; Omran|عمران; Ramadan|رمضان; Seif|سيف; Abdel Rahman|عبد الرحمن
""")

WOMEN = pool(
    """
Layla|ليلى; Mona|منى; Nadia|نادية; Salma|سلمى; Dina|دينا; Heba|هبة; Rania|رانيا; Yasmin|ياسمين;
Farida|فريدة; Hana|هنا; Mariam|مريم; Samira|سميرة; Amina|أمينة; Jana|جنى; Noha|نهى; Reem|ريم; Iman|إيمان;
Fatma|فاطمة; Aya|آية; Sara|سارة; Dalia|داليا; Ghada|غادة; Hoda|هدى; Inas Lotfy|إيناس لطفي; Kawthar|كوثر;
Lamia|لمياء; Maha|مها; Nagwa|نجوى; Ola|علا; Rasha|رشا; Sahar|سحر; Tahani|تهاني; Wafaa|وفاء; Yara|يارا;
Zahra|زهرة; Abeer|عبير; Basma|بسمة; Doaa|دعاء; Esraa|إسراء; Fayza|فايزة; Gihan|جيهان; Hala|هالة;
Ibtisam|ابتسام; Karima|كريمة; Lobna|لبنى; Manal|منال; Nesma|نسمة; Omnia|أمنية; Rabab|رباب; Safaa|صفاء;
Thuraya|ثريا; Wedad|وداد; Youmna|يمنى; Amal|أمل; Bothaina|بثينة; Dareen|دارين; Elham|إلهام; Fadia|فادية;
Ghalia|غالية; Hagar|هاجر; Israa Nabil|إسراء نبيل; Jamila|جميلة; Khadija|خديجة; Latifa|لطيفة; Magda|ماجدة;
Nermin|نرمين; Olfat|ألفت; Radwa|رضوى; Sawsan|سوسن; Taghrid|تغريد; Wessam|وسام; Yosra|يسرا; Zeina|زينة;
Afaf|عفاف; Bahia|بهية; Camelia|كاميليا; Donia|دنيا; Enayat|عنايات; Farah|فرح; Gamila Saad|جميلة سعد;
Habiba|حبيبة; Hanan|حنان; Kenzy|كنزي; Lina|لينا; Malak|ملك; Nelly|نيللي; Rawya|راوية; Shaimaa|شيماء;
Somaya|سمية; Tasnim|تسنيم; Warda|وردة; Zinab|زينب; Asmaa|أسماء; Carmen|كارمن; Enji|إنجي; Ferial|فريال;
Howaida|هويدا; Mervat|ميرفت; Rokaya|رقية; Um Kulthum|أم كلثوم
""",
    female=True,
)

# Alternating, so that every stretch of the list, the held-out quarter too, has as many women as men.
NAMES = tuple(chain.from_iterable(zip(MEN, WOMEN)))
