"""Where the report answers what TRIPOD+AI, FUTURE-AI and the FDA's draft guidance ask of a fairness evaluation.

A map for a reader who has to fill one of them in, not a claim that any of them is met: topics are named, not quoted,
and what an audit of predictions cannot know is said to be missing. Sources: TRIPOD+AI (topics of its adherence
tool); FUTURE-AI, BMJ 2025;388:e081554, fairness; FDA, "AI-Enabled Device Software Functions", draft guidance of 7
January 2025, docket FDA-2024-D-4488. Neighbour: ``page``.
"""

from __future__ import annotations

from dataclasses import dataclass

FDA_NOTE = "FDA draft guidance of 7 January 2025 (FDA-2024-D-4488); whether it is still a draft must be checked."


@dataclass(frozen=True)
class Topic:
    """One section of the report and what it answers; an empty string where it answers nothing."""

    anchor: str  # of the section
    section: str
    tripod: str
    future: str
    fda: str
    missing: str  # what the owner of the model has to add


TOPICS = (
    Topic(
        "summary",
        "In two minutes",
        "Fairness: results in words",
        "Definition of fairness, where it was told",
        "Model card (appendix): summary of performance and limits",
        "Intended use and the definition of fairness, if the settings' section about is empty",
    ),
    Topic(
        "who",
        "Who was looked at",
        "Participants; missing data",
        "Metadata of groups recorded; imbalance estimated",
        "Data characterisation; independence of training and test sites, as far as told",
        "How the films were chosen, and where the model was trained",
    ),
    Topic("glance", "Gaps at a glance", "Fairness", "Metrics of fairness", "Performance in subgroups", ""),
    Topic(
        "labels",
        "Figures by label",
        "Performance with uncertainty, discrimination and calibration, in groups",
        "Metrics of fairness",
        "Performance in subgroups by age, sex, race and ethnicity, where the table has them",
        "",
    ),
    Topic(
        "mix",
        "The patients or the case mix?",
        "Differences between groups",
        "Imbalance estimated",
        "Data characterisation",
        "Confounders that the table does not hold",
    ),
    Topic(
        "worst",
        "Worst groups and fairness differences",
        "Fairness",
        "Metrics of fairness",
        "Performance in subgroups",
        "Which difference is acceptable for the intended use",
    ),
    Topic(
        "limits",
        "What cannot be said",
        "Limitations; sample size",
        "Multi-centre evaluation, where there are several sites",
        "Model card (appendix): limits",
        "Mitigation that was tried and what it cost; a plan of monitoring",
    ),
    Topic(
        "methods",
        "Methods",
        "Statistical methods; missing data; availability of code",
        "Metrics of fairness fixed beforehand",
        "Methods of the evaluation",
        "",
    ),
)
