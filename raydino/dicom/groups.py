"""Words that name groups of people: only texts made of these leave ingest as they stand.

Population, race and insurance are free text in headers and tables, so anything may stand in them.
Neighbours: ``countries`` (the other list), ``deidentify`` (hashes the rest).
"""

from __future__ import annotations

from raydino.dicom.countries import country_of
from raydino.dicom.examination import fold

_PEOPLES = (
    "AFRICAN AFRO ALASKA ALASKAN AMERICAN AMERICAS AND ARAB ARABIC ASIAN BLACK BRAZILIAN BRITISH CAPE CARIBBEAN "
    "CAUCASIAN CENTRAL CHINESE COLUMBIAN COLOMBIAN CUBAN DECLINED DOMINICAN EAST EASTERN ETHNICITY EUROPEAN FILIPINO "
    "GREEK GUATEMALAN HAITIAN HAWAIIAN HISPANIC HONDURAN INDIAN INDIGENOUS IRISH ISLAND ISLANDER ITALIAN JAPANESE "
    "KOREAN LATIN LATINA LATINO LATINX MALAY MEXICAN MIDDLE MIXED MORE MULTIPLE MULTIRACIAL NATIVE NON NORTH NORTHERN "
    "NOT OBTAIN OF OR ORIGIN OTHER PACIFIC PATIENT PORTUGUESE PUERTO RACE REFUSED RICAN RUSSIAN SALVADORAN SOUTH "
    "SOUTHEAST SOUTHERN SPANISH SPECIFIED THAI THAN THE TO TURKISH TWO UNABLE UNREPORTED ANSWER VERDEAN VIETNAMESE "
    "WEST WESTERN WHITE"
)
_PAYERS = (
    "CARE CASH CHARGE CHIP CIVIL COMMERCIAL EMPLOYER FREE GKV GOVERNMENT HEALTH HMO INSURANCE INSURED MANAGED MEDI CAL "
    "MEDICAID MEDICARE MILITARY NATIONAL NHS NO NONE OTHER PAY PAYER PKV PPO PRIVATE PUBLIC SELF SERVICE SOCIAL STATE "
    "STATUTORY SUS TRICARE UNINSURED VETERANS WORKERS COMPENSATION"
)
_WORDS = {kind: frozenset(words.split()) for kind, words in {"race": _PEOPLES, "insurance": _PAYERS}.items()}


def known_group(kind: str, name: str) -> str | None:
    """``name`` as it may be told: a country's English name, or words of the list; None for any other text."""
    if kind == "population" and (country := country_of(name)):
        return country
    words = fold(name).split()
    return (
        name
        if words and all(word in _WORDS["insurance" if kind == "insurance" else "race"] for word in words)
        else None
    )
