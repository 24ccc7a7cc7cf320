"""Names and codes of countries (ISO 3166-1), so that a country may leave ingest and free text may not.

English names as in the time zone database's iso3166.tab, which is in the public domain. Neighbour:
``deidentify``, which hashes what stands in no list.
"""

from __future__ import annotations

from raydino.dicom.examination import fold

# alpha-2, alpha-3, name
_ISO_3166 = """
AD AND Andorra; AE ARE United Arab Emirates; AF AFG Afghanistan; AG ATG Antigua & Barbuda; AI AIA Anguilla;
AL ALB Albania; AM ARM Armenia; AO AGO Angola; AQ ATA Antarctica; AR ARG Argentina; AS ASM Samoa (American);
AT AUT Austria; AU AUS Australia; AW ABW Aruba; AX ALA Åland Islands; AZ AZE Azerbaijan;
BA BIH Bosnia & Herzegovina; BB BRB Barbados; BD BGD Bangladesh; BE BEL Belgium; BF BFA Burkina Faso;
BG BGR Bulgaria; BH BHR Bahrain; BI BDI Burundi; BJ BEN Benin; BL BLM St Barthelemy; BM BMU Bermuda; BN BRN Brunei;
BO BOL Bolivia; BQ BES Caribbean NL; BR BRA Brazil; BS BHS Bahamas; BT BTN Bhutan; BV BVT Bouvet Island;
BW BWA Botswana; BY BLR Belarus; BZ BLZ Belize; CA CAN Canada; CC CCK Cocos (Keeling) Islands;
CD COD Congo (Dem. Rep.); CF CAF Central African Rep.; CG COG Congo (Rep.); CH CHE Switzerland;
CI CIV Côte d'Ivoire; CK COK Cook Islands; CL CHL Chile; CM CMR Cameroon; CN CHN China; CO COL Colombia;
CR CRI Costa Rica; CU CUB Cuba; CV CPV Cape Verde; CW CUW Curaçao; CX CXR Christmas Island; CY CYP Cyprus;
CZ CZE Czech Republic; DE DEU Germany; DJ DJI Djibouti; DK DNK Denmark; DM DMA Dominica; DO DOM Dominican Republic;
DZ DZA Algeria; EC ECU Ecuador; EE EST Estonia; EG EGY Egypt; EH ESH Western Sahara; ER ERI Eritrea; ES ESP Spain;
ET ETH Ethiopia; FI FIN Finland; FJ FJI Fiji; FK FLK Falkland Islands; FM FSM Micronesia; FO FRO Faroe Islands;
FR FRA France; GA GAB Gabon; GB GBR United Kingdom; GD GRD Grenada; GE GEO Georgia; GF GUF French Guiana;
GG GGY Guernsey; GH GHA Ghana; GI GIB Gibraltar; GL GRL Greenland; GM GMB Gambia; GN GIN Guinea; GP GLP Guadeloupe;
GQ GNQ Equatorial Guinea; GR GRC Greece; GS SGS South Georgia & the South Sandwich Islands; GT GTM Guatemala;
GU GUM Guam; GW GNB Guinea-Bissau; GY GUY Guyana; HK HKG Hong Kong; HM HMD Heard Island & McDonald Islands;
HN HND Honduras; HR HRV Croatia; HT HTI Haiti; HU HUN Hungary; ID IDN Indonesia; IE IRL Ireland; IL ISR Israel;
IM IMN Isle of Man; IN IND India; IO IOT British Indian Ocean Territory; IQ IRQ Iraq; IR IRN Iran; IS ISL Iceland;
IT ITA Italy; JE JEY Jersey; JM JAM Jamaica; JO JOR Jordan; JP JPN Japan; KE KEN Kenya; KG KGZ Kyrgyzstan;
KH KHM Cambodia; KI KIR Kiribati; KM COM Comoros; KN KNA St Kitts & Nevis; KP PRK North Korea;
KR KOR South Korea; KW KWT Kuwait; KY CYM Cayman Islands; KZ KAZ Kazakhstan; LA LAO Laos; LB LBN Lebanon;
LC LCA St Lucia; LI LIE Liechtenstein; LK LKA Sri Lanka; LR LBR Liberia; LS LSO Lesotho; LT LTU Lithuania;
LU LUX Luxembourg; LV LVA Latvia; LY LBY Libya; MA MAR Morocco; MC MCO Monaco; MD MDA Moldova; ME MNE Montenegro;
MF MAF St Martin (French); MG MDG Madagascar; MH MHL Marshall Islands; MK MKD North Macedonia; ML MLI Mali;
MM MMR Myanmar (Burma); MN MNG Mongolia; MO MAC Macau; MP MNP Northern Mariana Islands; MQ MTQ Martinique;
MR MRT Mauritania; MS MSR Montserrat; MT MLT Malta; MU MUS Mauritius; MV MDV Maldives; MW MWI Malawi; MX MEX Mexico;
MY MYS Malaysia; MZ MOZ Mozambique; NA NAM Namibia; NC NCL New Caledonia; NE NER Niger; NF NFK Norfolk Island;
NG NGA Nigeria; NI NIC Nicaragua; NL NLD Netherlands; NO NOR Norway; NP NPL Nepal; NR NRU Nauru; NU NIU Niue;
NZ NZL New Zealand; OM OMN Oman; PA PAN Panama; PE PER Peru; PF PYF French Polynesia; PG PNG Papua New Guinea;
PH PHL Philippines; PK PAK Pakistan; PL POL Poland; PM SPM St Pierre & Miquelon; PN PCN Pitcairn;
PR PRI Puerto Rico; PS PSE Palestine; PT PRT Portugal; PW PLW Palau; PY PRY Paraguay; QA QAT Qatar; RE REU Réunion;
RO ROU Romania; RS SRB Serbia; RU RUS Russia; RW RWA Rwanda; SA SAU Saudi Arabia; SB SLB Solomon Islands;
SC SYC Seychelles; SD SDN Sudan; SE SWE Sweden; SG SGP Singapore; SH SHN St Helena; SI SVN Slovenia;
SJ SJM Svalbard & Jan Mayen; SK SVK Slovakia; SL SLE Sierra Leone; SM SMR San Marino; SN SEN Senegal;
SO SOM Somalia; SR SUR Suriname; SS SSD South Sudan; ST STP Sao Tome & Principe; SV SLV El Salvador;
SX SXM St Maarten (Dutch); SY SYR Syria; SZ SWZ Eswatini (Swaziland); TC TCA Turks & Caicos Is; TD TCD Chad;
TF ATF French S. Terr.; TG TGO Togo; TH THA Thailand; TJ TJK Tajikistan; TK TKL Tokelau; TL TLS East Timor;
TM TKM Turkmenistan; TN TUN Tunisia; TO TON Tonga; TR TUR Turkey; TT TTO Trinidad & Tobago; TV TUV Tuvalu;
TW TWN Taiwan; TZ TZA Tanzania; UA UKR Ukraine; UG UGA Uganda; UM UMI US minor outlying islands;
US USA United States; UY URY Uruguay; UZ UZB Uzbekistan; VA VAT Vatican City; VC VCT St Vincent; VE VEN Venezuela;
VG VGB Virgin Islands (UK); VI VIR Virgin Islands (US); VN VNM Vietnam; VU VUT Vanuatu; WF WLF Wallis & Futuna;
WS WSM Samoa (western); YE YEM Yemen; YT MYT Mayotte; ZA ZAF South Africa; ZM ZMB Zambia; ZW ZWE Zimbabwe;
"""
# Further names in use, and the two made-up countries of raydino's own archive (``phantom.sites``)
_ALSO = {
    "Bosnia": "Bosnia & Herzegovina",
    "Brasil": "Brazil",
    "Britain": "United Kingdom",
    "Czechia": "Czech Republic",
    "Deutschland": "Germany",
    "England": "United Kingdom",
    "Espana": "Spain",
    "Great Britain": "United Kingdom",
    "Holland": "Netherlands",
    "Iran Islamic Republic of": "Iran",
    "Italia": "Italy",
    "Ivory Coast": "Côte d'Ivoire",
    "Korea": "South Korea",
    "Korea Republic of": "South Korea",
    "Norland": "Norland",
    "Osterreich": "Austria",
    "Republic of Korea": "South Korea",
    "Russian Federation": "Russia",
    "Schweiz": "Switzerland",
    "Suisse": "Switzerland",
    "Sudmark": "Sudmark",
    "Turkiye": "Turkey",
    "U S": "United States",
    "U S A": "United States",
    "UK": "United Kingdom",
    "United States of America": "United States",
    "Viet Nam": "Vietnam",
}


def _by_name() -> dict[str, str]:
    names = {fold(also): name for also, name in _ALSO.items()}
    for entry in _ISO_3166.replace("\n", " ").split(";"):
        if entry.strip():
            alpha_2, alpha_3, name = entry.split(maxsplit=2)
            names |= {alpha_2: name, alpha_3: name, fold(name): name}
    return names


_COUNTRIES = _by_name()


def country_of(text: str) -> str | None:
    """The English name of the country that ``text`` is a name or ISO code of, whatever its case."""
    return _COUNTRIES.get(fold(text))
