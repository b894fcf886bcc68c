//! Standard input, output and error.
crate::behaviour::behaviours! { "stream":
    both_outputs, output_big, binary, input_whole ["in"], input_lines ["in"], not_terminals,
    output_closed, children_output,
}
