import pytest

from adapters.report.findings import NO_FINDING, usual_name
from adapters.report.labeller import Labeller, State, read_report

PRESENT, DOUBTFUL, ABSENT, SILENT = State.PRESENT, State.DOUBTFUL, State.ABSENT, State.SILENT
SENTENCES = [
    # plain statements
    ("There is a small left pleural effusion.", "pleural effusion", PRESENT),
    ("Bilateral pleural fluid.", "pleural effusion", PRESENT),
    ("The heart is moderately enlarged.", "cardiomegaly", PRESENT),
    ("Heart is slightly large.", "cardiomegaly", PRESENT),
    ("Increased cardiothoracic ratio (0.61), in keeping with cardiomegaly.", "cardiomegaly", PRESENT),
    ("Right apical pneumothorax with a visible pleural line.", "pneumothorax", PRESENT),
    ("Left-sided hydropneumothorax.", "pneumothorax", PRESENT),
    ("Right lower lobe airspace opacity with air bronchograms.", "consolidation", PRESENT),
    ("A 12 mm nodule in the left upper zone.", "nodule", PRESENT),
    ("Thickening of the right pleura.", "pleural thickening", PRESENT),
    ("Findings consistent with COVID-19.", "covid 19", PRESENT),
    ("The endotracheal tube ends 4 cm above the carina.", "support devices", PRESENT),
    # denials before, inside and after
    ("No pleural effusion or pneumothorax.", "pneumothorax", ABSENT),
    ("No focal consolidation, large effusion, or pneumothorax.", "pleural effusion", ABSENT),
    ("No consolidation, effusion, pneumothorax.", "pneumothorax", ABSENT),
    ("No evidence of consolidation, large pleural effusion/pneumothorax.", "pleural effusion", ABSENT),
    ("The lungs are clear of infiltrates, without effusion.", "infiltration", ABSENT),
    ("Negative for pneumothorax.", "pneumothorax", ABSENT),
    ("The cardiac silhouette is not enlarged.", "cardiomegaly", ABSENT),
    ("Pneumothorax is not seen.", "pneumothorax", ABSENT),
    ("The left effusion has resolved.", "pleural effusion", ABSENT),
    ("No acute, displaced fractures are demonstrated.", "fracture", ABSENT),
    ("Neither effusion nor pneumothorax.", "pneumothorax", ABSENT),
    # where a denial ends
    ("No pneumothorax, small left effusion.", "pleural effusion", PRESENT),
    ("No pneumothorax but a small left effusion.", "pleural effusion", PRESENT),
    ("No pneumothorax; left effusion.", "pleural effusion", PRESENT),
    ("The heart is not enlarged and there is a left effusion.", "pleural effusion", PRESENT),
    ("Effusion with no pneumothorax.", "pleural effusion", PRESENT),
    ("Effusion with no pneumothorax.", "pneumothorax", ABSENT),
    ("No significant change in the right pleural effusion.", "pleural effusion", PRESENT),
    ("The effusion is without change.", "pleural effusion", PRESENT),
    # doubt
    ("Possible small pneumothorax.", "pneumothorax", DOUBTFUL),
    ("A small effusion cannot be excluded.", "pleural effusion", DOUBTFUL),
    ("Opacity that may represent pneumonia.", "pneumonia", DOUBTFUL),
    ("Suspicious for a mass.", "mass", DOUBTFUL),
    ("No suspicious nodule is seen.", "nodule", ABSENT),
    ("Airspace consolidation, suggestive of pneumonia.", "pneumonia", DOUBTFUL),
    ("An effusion is suspected.", "pleural effusion", DOUBTFUL),
    ("Borderline enlarged heart.", "cardiomegaly", DOUBTFUL),
    ("Basal changes, atelectasis or pneumonia.", "atelectasis", DOUBTFUL),
    ("Basal changes, atelectasis or pneumonia.", "pneumonia", DOUBTFUL),
    ("Atelectasis versus early pneumonia at the left base.", "pneumonia", DOUBTFUL),
    ("The differential includes edema, pneumonia, and aspiration.", "pneumonia", DOUBTFUL),
    ("Possible atypical infection.", "pneumonia", DOUBTFUL),
    ("Two or three nodules on the left.", "nodule", PRESENT),
    ("Edema and/or infection at both bases.", "edema", DOUBTFUL),
    # doubt reaches what it doubts and not what was seen
    ("Opacity that may represent pneumonia.", "lung opacity", PRESENT),
    ("Left basal opacity, likely atelectasis.", "lung opacity", PRESENT),
    ("Left basal opacity, likely atelectasis.", "atelectasis", DOUBTFUL),
    ("A nodular shadow may be due to overlying ribs, small right effusion.", "pleural effusion", PRESENT),
    ("Likely atelectasis, small right effusion.", "pleural effusion", PRESENT),
    ("Pneumonia is unlikely.", "pneumonia", ABSENT),
    ("No opacity to suggest pneumonia.", "pneumonia", ABSENT),
    # denied in other words
    ("Heart size is normal.", "cardiomegaly", ABSENT),
    ("Normal size of the heart.", "cardiomegaly", ABSENT),
    ("Heart, hila and mediastinum are within normal limits.", "cardiomegaly", ABSENT),
    ("Heart, hila and mediastinum are within normal limits.", "enlarged cardiomediastinum", ABSENT),
    ("The heart is at the upper limit of normal.", "cardiomegaly", ABSENT),
    ("The cardiomediastinal silhouette is unremarkable.", "cardiomegaly", ABSENT),
    ("The lungs are well expanded and clear.", "lung opacity", ABSENT),
    ("Pneumothorax: none.", "pneumothorax", ABSENT),
    ("The effusion is no longer seen.", "pleural effusion", ABSENT),
    ("Removal of the left chest tube.", "support devices", ABSENT),
    # and what only looks like it
    ("The heart is stable, the lungs are normal.", "cardiomegaly", SILENT),
    ("The heart is enlarged and the mediastinum is normal.", "cardiomegaly", PRESENT),
    ("Abnormal heart.", "cardiomegaly", SILENT),
    ("The lungs are not clear.", "lung opacity", SILENT),
    ("Lungs are clear of consolidation.", "consolidation", ABSENT),
    ("Bones are intact without focal lesions of the ribs.", "nodule", SILENT),
    ("Old granulomatous infection.", "pneumonia", SILENT),
    # what is not a finding
    ("Evaluate for pneumothorax.", "pneumothorax", SILENT),
    ("History of pneumonia.", "pneumonia", SILENT),
    ("Subcutaneous emphysema.", "emphysema", SILENT),
    ("Small pericardial effusion.", "pleural effusion", SILENT),
    ("No mass effect.", "mass", SILENT),
]


@pytest.mark.parametrize(("sentence", "finding", "state"), SENTENCES)
def test_sentences_labelled_by_hand(sentence: str, finding: str, state: State) -> None:
    assert read_report(sentence)[finding] == state


def test_over_a_report_present_wins_over_doubtful_over_absent() -> None:
    text = "No pneumothorax. Possible effusion. Follow-up: small apical pneumothorax. No effusion."
    states = read_report(text)
    assert states["pneumothorax"] == PRESENT
    assert states["pleural effusion"] == DOUBTFUL


@pytest.mark.parametrize(
    ("text", "clear"),
    [
        ("Lungs are clear. No effusion. Heart size normal.", True),
        ("Pacemaker in place. Lungs are clear.", True),
        ("Lungs are clear. Possible small effusion.", False),
        ("", False),
    ],
)
def test_no_finding_is_a_text_that_names_none(text: str, clear: bool) -> None:
    assert (read_report(text)[NO_FINDING] == PRESENT) is clear


def test_mentions_come_by_the_data_sets_own_names() -> None:
    labeller = Labeller(["No Finding", "Effusion", "Pleural_Thickening", "COVID-19", "Tuberculosis"])
    assert labeller.labels == ("No Finding", "Effusion", "Pleural_Thickening", "COVID-19")
    assert labeller.mentions("Likely left effusion. No pleural thickening.") == {
        "No Finding": 0.0,
        "Effusion": 1.0,
        "Pleural_Thickening": 0.0,
        "COVID-19": 0.0,
    }


def test_every_label_of_nih_and_chexpert_is_known() -> None:
    nih = "Atelectasis Cardiomegaly Consolidation Edema Effusion Emphysema Fibrosis Hernia Infiltration Mass Nodule"
    chexpert = ("Enlarged Cardiomediastinum", "Lung Lesion", "Lung Opacity", "Pleural Other", "Support Devices")
    names = [*nih.split(), "Pleural_Thickening", "Pneumonia", "Pneumothorax", "No Finding", "Fracture", *chexpert]
    assert all(usual_name(name) for name in names)
    assert usual_name("Effusion") == "pleural effusion"
    assert usual_name("tuberculosis") is None
