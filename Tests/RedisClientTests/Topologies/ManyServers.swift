import Testing

/// Tests that start five servers and more each: one after the other, or a small machine is too slow for all of them.
@Suite(.serialized) enum ManyServers {}
