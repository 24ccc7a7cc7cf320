"""Every kind of adapter by the name that a config's ``kind`` gives it."""

from __future__ import annotations

from raydino.registry import Registry

ADAPTERS = Registry(
    "adapter",
    "raydino.adapters",
    {
        "classification_linear": "adapters.classification.linear:LinearClassifier",
        "classification_grid": "adapters.classification.grid:GridClassifier",
        "classification_attentive": "adapters.classification.attentive:AttentiveClassifier",
        "classification_query": "adapters.classification.query:QueryClassifier",
        "classification_knn": "adapters.classification.knn:NearestNeighbours",
        "classification_logistic": "adapters.classification.logistic:LogisticClassifier",
        "classification_fair": "adapters.classification.fair:FairClassifier",
        "segmentation_linear": "adapters.segmentation.linear:LinearSegmenter",
        "segmentation_conv": "adapters.segmentation.conv:ConvSegmenter",
        "segmentation_upernet": "adapters.segmentation.upernet:UPerNetSegmenter",
        "regression_linear": "adapters.regression.linear:LinearRegressor",
        "regression_attentive": "adapters.regression.attentive:AttentiveRegressor",
        "report_decoder": "adapters.report.decoder:ReportDecoder",
        "report_language_model": "adapters.report.language_model:ReportLanguageModel",
    },
)
