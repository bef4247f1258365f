//! Eight laptops that nothing can reach, one shared config, one amdump, `inparallel 4`.

use asyncamanda_tests::laptop::{PATIENCE, assert_backed_up, receipts};
use asyncamanda_tests::{Laptop, Plan, World, life};

fn eight_in_one_run(client: &'static str) {
    let all: Vec<usize> = (0..8).collect();
    // The first one's tree would be the whole one.
    let torture = (1..4).collect();
    let world = World::new(Plan { hosts: 8, far_away: all, torture, client, inparallel: 4, gather: "3 s", ..Plan::default() });
    let watch = world.watch();
    let laptops: Vec<Laptop> = (0..8).map(|index| world.laptop(index)).collect();
    for level in [0, 1] {
        let triggers: Vec<_> = laptops.iter().map(Laptop::trigger).collect();
        for (trigger, host) in triggers.into_iter().zip(&world.hosts) {
            let receipts = receipts(&trigger.wait(PATIENCE).expect_code(0));
            assert_backed_up(&receipts, host);
            assert_eq!(receipts[0].level, Some(level), "{receipts:#?}");
        }
        assert_eq!(world.amanda.run_logs().len(), usize::from(level) + 1, "runs of amdump");
        assert_eq!(watch.most_runs(), 1);
        for host in &world.hosts {
            world.assert_restores(&world.name, host);
            if world.plan.torture.contains(&host.index) {
                life::go_on(&host.tree, u32::from(level) + 1);
            } else {
                std::fs::write(host.tree.join("made since"), format!("{level}\n")).expect("a tree of our own");
                let _only_once = std::fs::remove_file(host.tree.join("whose"));
            }
        }
    }
    watch.assert_no_clash();
    world.assert_at_rest();
    world.assert_tunnels_are_gone();
}

#[test]
fn eight_laptops_in_one_amdump_are_all_ok() {
    eight_in_one_run("native");
}

#[test]
fn eight_laptops_in_one_amdump_are_all_ok_by_amandas_own_client() {
    eight_in_one_run("amandad");
}
