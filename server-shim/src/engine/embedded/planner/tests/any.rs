//! What holds of any site, however odd its histories, commands and rules are.

use proptest::prelude::*;
use proptest::strategy::Strategy;

use super::*;

fn any_rules() -> impl Strategy<Value = DiskRules> {
    use amanda::conf::Strategy as Plan;
    let strategies = [Plan::Standard, Plan::NoFull, Plan::NoInc, Plan::Hanoi, Plan::IncrOnly];
    let strategy = (0..strategies.len()).prop_map(move |at| strategies[at]);
    (strategy, any::<[bool; 4]>(), 0u32..30, 0i64..30, -3i64..9, 0i64..4).prop_map(
        |(strategy, [skip_full, skip_incr, compresses, may_split], dumpcycle, maxpromoteday, priority, bumpdays)| DiskRules {
            strategy,
            skip_full: skip_full && skip_incr != skip_full,
            skip_incr,
            levels: plan::Rules { dumpcycle, bumpdays, ..RULES.levels },
            maxpromoteday,
            priority,
            compresses,
            may_split,
            ..RULES
        },
    )
}

fn any_machine() -> impl Strategy<Value = Machine> {
    let dumps = prop::collection::vec((0i64..40, 0u8..4, 1i64..3_000_000), 0..8);
    (0u8..3, 0u8..20, any_rules(), dumps, 0u32..16, 0u8..3, prop::option::of(0u32..4)).prop_map(
        |(host, disk, rules, dumps, command, presence, full_overwritten_in)| {
            let mut machine = Machine::new(&format!("h{host}:/d{disk}"), rules);
            let mut days: Vec<_> = dumps;
            days.sort_by_key(|(ago, ..)| std::cmp::Reverse(*ago));
            let mut highest = 0;
            for (ago, level, kb) in days {
                // A level is made above one that is there.
                let level = if machine.dumps.is_empty() { 0 } else { level.min(highest + 1) };
                highest = level;
                machine.dumped(TODAY - ago, level, kb);
            }
            machine.info.command = command;
            machine.presence = [Presence::Always, Presence::Connected, Presence::Away][usize::from(presence)];
            machine.full_overwritten_in = full_overwritten_in;
            machine
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_disk_has_a_verdict_and_every_dump_its_ground(
        machines in prop::collection::vec(any_machine(), 0..12),
        tape_kb in 1i64..8_000_000,
        runtapes in 0i64..3,
        runs_per_cycle in 1i64..20,
        waiting_kb in 0i64..1_000_000,
    ) {
        let site = SiteRules { tape_kb, runtapes, runs_per_cycle, waiting_kb, waiting_full_kb: waiting_kb / 2, ..SITE };
        let schedule = scheduled(&site, &machines);
        prop_assert_eq!(schedule.verdicts.len(), machines.len());
        let mut dumped: Vec<usize> = Vec::new();
        let mut total = 2 * (site.block_kb + site.mark_kb) + waiting_kb;
        for (at, (machine, verdict)) in machines.iter().zip(&schedule.verdicts).enumerate() {
            match verdict {
                Verdict::Dump(planned) => {
                    dumped.push(at);
                    total += planned.size.kb + site.block_kb + site.mark_kb;
                    prop_assert!(machine.presence != Presence::Away);
                    prop_assert!(!planned.reason.is_empty());
                    let ground = machine.candidate(TODAY).ground;
                    let elsewhere = machine.rules.has_no_full();
                    let levels = [Some((planned.level, &planned.base)), planned.degraded.as_ref().ok().map(|less| (less.level, &less.base))];
                    for (level, base) in levels.into_iter().flatten() {
                        let below = ground.as_ref().ok().and_then(|ground| ground.below(level)).map(str::to_owned);
                        prop_assert_eq!(base, &below);
                        prop_assert_eq!(level > 0, base.is_some() || (elsewhere && level > 0), "{:?}", planned);
                    }
                }
                Verdict::Skipped { reason, .. } | Verdict::Failed { reason, .. } => prop_assert!(!reason.is_empty()),
            }
        }
        let mut order = schedule.order.clone();
        order.sort_unstable();
        prop_assert_eq!(order, dumped, "each that is dumped is in the order once");
        prop_assert_eq!(total, schedule.balance.total_kb);
        // What is beyond the volumes is what nothing can be instead of: disks that have nothing, and the most important one.
        if total > schedule.balance.capacity_kb {
            let dispensable = schedule.verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Dump(planned) if planned.level > 0)).count();
            prop_assert!(dispensable <= 1, "{:?}", schedule);
        }
    }
}
