//! Guests that end themselves: whatever way they find, it is their own run that ends.

use harness::Hostile;

#[tokio::test]
async fn a_node_that_traps_ends_its_own_run() {
    Hostile::guest("run_traps").trap("unreachable").ends(500, "GuestTrap", "node \"bad\" trapped").await;
}
