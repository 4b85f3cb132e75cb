"""Pipelines on Apache Beam that read many images: score, check, measure, evaluate."""
