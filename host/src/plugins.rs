//! The components that are shipped inside the binary, so that prompt flow's own node types need no file. Built from
//! plugins/ by build.rs.

/// Renders a Jinja template: nodes of `type: prompt`.
pub static PROMPT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/weir_plugin_prompt.wasm"));

/// Renders a prompt and asks a model: nodes of `type: llm`, the package tools that are such nodes, and prompties.
pub static LLM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/weir_plugin_llm.wasm"));

/// Embeds a text: the package tool `promptflow.tools.embedding.embedding`.
pub static EMBEDDING: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/weir_plugin_embedding.wasm"));

/// Asks Azure AI Content Safety: the tool `promptflow.tools.azure_content_safety.analyze_text`.
pub static CONTENT_SAFETY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/weir_plugin_content_safety.wasm"));

/// Asks SerpAPI: the tool `promptflow.tools.serpapi.SerpAPI.search`.
pub static SERP: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/weir_plugin_serp.wasm"));
