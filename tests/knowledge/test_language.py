import subprocess
import sys

import pytest
from django.db import connection

from apps.knowledge.extraction.language import CONFIGURATIONS, _pieces, configuration_of, detect_language

TEXTS = {
    "ar": "يمكن لعملائنا إلغاء برنامج التدريب خلال ثلاثين يوما. يرجى إرسال الفاتورة إلى قسم المحاسبة قبل يوم الجمعة.",
    "da": "Vores kunder kan opsige forløbet inden for tredive dage. Send venligst fakturaen til regnskabsafdelingen.",
    "de": "Unsere Kunden können das Coaching innerhalb von dreißig Tagen kündigen. Bitte senden Sie die Rechnung bald.",
    "el": "Οι πελάτες μας μπορούν να ακυρώσουν το πρόγραμμα καθοδήγησης μέσα σε τριάντα ημέρες από την αγορά.",
    "en": "Our customers may cancel the coaching programme within thirty days. Please send the invoice before Friday.",
    "es": "Nuestros clientes pueden cancelar el programa en un plazo de treinta días. Envíe la factura hoy mismo.",
    "fi": "Asiakkaamme voivat perua valmennusohjelman kolmenkymmenen päivän kuluessa. Lähettäkää lasku kirjanpitoon.",
    "fr": "Nos clients peuvent résilier le programme dans les trente jours. Veuillez envoyer la facture.",
    "hi": "हमारे ग्राहक तीस दिनों के भीतर कोचिंग कार्यक्रम रद्द कर सकते हैं। कृपया शुक्रवार से पहले चालान लेखा विभाग को भेजें।",
    "hu": "Ügyfeleink harminc napon belül lemondhatják a programot. Kérjük, a számlát péntek előtt küldje el nekünk.",
    "it": "I nostri clienti possono annullare il programma entro trenta giorni. Si prega di inviare la fattura.",
    "nl": "Onze klanten kunnen het coachingprogramma binnen dertig dagen opzeggen. Stuur de factuur voor vrijdag.",
    "no": "Våre kunder kan si opp programmet innen tretti dager. Vennligst send fakturaen til regnskapsavdelingen.",
    "pl": "Nasi klienci mogą zrezygnować z programu w ciągu trzydziestu dni. Prosimy o przesłanie faktury.",
    "pt": "Os nossos clientes podem cancelar o programa no prazo de trinta dias. Envie a fatura antes de sexta-feira.",
    "ro": "Clienții noștri pot anula programul de coaching în termen de treizeci de zile. Trimiteți factura.",
    "ru": "Наши клиенты могут отказаться от программы в течение тридцати дней. Пожалуйста, отправьте счёт до пятницы.",
    "sv": "Våra kunder kan säga upp programmet inom trettio dagar. Skicka fakturan till ekonomiavdelningen.",
    "tr": "Müşterilerimiz koçluk programını otuz gün içinde iptal edebilir. Lütfen faturayı cumadan önce gönderin.",
    "uk": "Наші клієнти можуть скасувати програму коучингу протягом тридцяти днів. Будь ласка, надішліть рахунок.",
    "he": "הלקוחות שלנו יכולים לבטל את תוכנית האימון בתוך שלושים יום. אנא שלחו את החשבונית לפני יום שישי.",
}


@pytest.mark.parametrize("language", TEXTS)
def test_the_language_of_two_sentences_is_told(language):
    assert detect_language(TEXTS[language]) == language


@pytest.mark.parametrize(
    "text", ["", "OK", "12345 67,89 | 2024-01-01 | 99 %", "asdkjh qwe zxmcn vbnq wpoei rutyx", "\x00"]
)
def test_where_it_cannot_be_told_there_is_none(text):
    assert detect_language(text) == ""


def test_a_language_written_in_another_script_is_none():
    assert detect_language("Nashi klienty mogut otkazatsya ot programmy v techenie tridtsati dney posle pokupki") == ""


def test_most_of_a_text_decides_wherever_it_stands():
    cover, body = TEXTS["en"] * 30, TEXTS["de"] * 60

    assert detect_language(cover + body) == "de"
    assert detect_language(body + cover) == "de"


def test_of_a_whole_book_no_more_is_judged_than_of_some_pages_and_always_the_same():
    book = TEXTS["fr"] * 30_000

    assert detect_language(book) == detect_language(book) == "fr"
    assert sum(map(len, _pieces(book))) == 40 * 300
    assert book.endswith(list(_pieces(book))[-1])


def test_each_language_of_postgres_has_its_configuration(db):
    with connection.cursor() as cursor:
        cursor.execute("SELECT cfgname FROM pg_ts_config WHERE cfgname <> 'simple'")
        known = {name for (name,) in cursor.fetchall()}

    assert set(CONFIGURATIONS.values()) == known
    assert configuration_of("de") == "german"
    assert configuration_of("pl") == configuration_of("") == "simple"


def test_telling_a_language_needs_no_django():
    code = (
        "import sys; from apps.knowledge.extraction.language import detect_language; detect_language('x' * 99)\n"
        "print('django' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
