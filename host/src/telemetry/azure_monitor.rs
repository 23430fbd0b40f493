//! Application Insights: Azure Monitor's ingestion.
