//! What a flow answers and what its trace looks like: one folder of `tests/flows` for each behaviour.

harness::scenarios! {
    config_reads
    config_without_grant
    conformance_chat
    conformance_failing
    conformance_flex_function
    conformance_stream_gen
    conformance_trivial3
    context_logs_metrics
    context_reads_init
    context_sets_notes
    env_reads
    env_without_grant
    flex_calls_nodes
    flex_streams
    llm_chats
    llm_completes
    llm_embeds
    llm_reads_relay
    llm_node
    llm_node_quotes_a_prompt
    llm_relays
    llm_streams_by_hand
    llm_without_grant
    log_writes
    nodes_calls_another
    prompty_answers
    prompty_in_a_flow
    run_returns
    run_returns_user_error
    run_streams
    run_streams_joined
    run_traps
}
