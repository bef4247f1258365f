//! Full dumps of later days that are made now, so that each run has its share (`promote_highest_priority_incremental`,
//! `promote_hills`).
//!
//! First while full dumps take less than their share: the disk on whose day the most others are due goes first. Where no full dump
//! would be made at all, one is taken off the day with the most. So far Amanda. A day that has nearly twice its share, after what the
//! runs before it take of it, is thinned out besides: it would be as crowded in each cycle again.

use std::collections::{BTreeMap, HashMap};

use super::{Balance, Item, Line, Moved, SiteRules, Size, sizes, words};

/// Less than this part of the share is no reason.
const SLACK: f64 = 0.05;

/// A disk's places in the counts: of its host, of the day on which it is due, and of both.
#[derive(Clone, Copy)]
struct Places {
    host: usize,
    day: usize,
    both: usize,
}

/// How many disks there are of each kind. A thousand disks are looked at for each of a thousand promotions, so nothing is searched.
struct Counts {
    places: Vec<Places>,
    /// Those that have a full dump now: all, and by host.
    today: i64,
    of_host_today: Vec<i64>,
    /// The others, by the day on which they are due, and by host and day.
    of_day: Vec<i64>,
    of_both: Vec<i64>,
}

impl Counts {
    fn of(items: &[Item<'_>]) -> Self {
        let (mut hosts, mut days, mut both) = (HashMap::new(), HashMap::new(), HashMap::new());
        let mut places = Vec::with_capacity(items.len());
        for item in items {
            let count = hosts.len();
            let host = *hosts.entry(item.candidate.dle.host.as_str()).or_insert(count);
            let count = days.len();
            let day = *days.entry(item.next_full).or_insert(count);
            let count = both.len();
            let both = *both.entry((host, day)).or_insert(count);
            places.push(Places { host, day, both });
        }
        let mut counts =
            Self { places, today: 0, of_host_today: vec![0; hosts.len()], of_day: vec![0; days.len()], of_both: vec![0; both.len()] };
        for (place, item) in items.iter().enumerate() {
            if item.dump.level == 0 {
                counts.today += 1;
                counts.of_host_today[counts.places[place].host] += 1;
            } else {
                counts.of_day[counts.places[place].day] += 1;
                counts.of_both[counts.places[place].both] += 1;
            }
        }
        counts
    }

    /// Notes that this one has a full dump now.
    fn promoted(&mut self, place: usize) {
        let Places { host, day, both } = self.places[place];
        self.of_day[day] -= 1;
        self.of_both[both] -= 1;
        self.today += 1;
        self.of_host_today[host] += 1;
    }
}

/// Makes full dumps of later days now. `brought` is what hosts that call in bring, in KiB.
pub(super) fn promote(items: &mut [Item<'_>], site: &SiteRules, balance: &mut Balance, brought: f64, lines: &mut Vec<Line>) {
    let slack = balance.balanced_kb * SLACK;
    let mut counts = Counts::of(items);
    while balance.balanced_kb - (balance.full_kb + brought) > slack {
        let Some((place, full)) = most_wanted(items, site, balance, brought, slack, &counts) else { break };
        counts.promoted(place);
        one(&mut items[place], full, balance, "", lines);
    }
    if balance.full_kb <= 0.0
        && site.waiting_full_kb == 0
        && let Some((place, full)) = hill(items, site, balance)
    {
        one(&mut items[place], full, balance, "specially ", lines);
    }
    while let Some((place, full)) = crowd(items, site, balance, brought) {
        one(&mut items[place], full, balance, "", lines);
    }
}

/// A run may have so many times its share. Twice the mean is what no run is to have, and shares are estimates.
const CROWDED: f64 = 1.75;

/// Returns the largest full dump that may be taken off a day that is too crowded.
fn crowd(items: &[Item<'_>], site: &SiteRules, balance: &Balance, brought: f64) -> Option<(usize, Size)> {
    let share = balance.balanced_kb;
    let mut days: BTreeMap<i64, f64> = BTreeMap::new();
    for item in items.iter().filter(|item| item.dump.level > 0 && item.next_full > 0) {
        if let Some(full) = item.size(0) {
            *days.entry(item.next_full).or_default() += sizes::real(full.kb);
        }
    }
    let today = balance.full_kb + brought;
    days.into_iter().find_map(|(day, kb)| {
        // The runs before it take their share of it.
        let runs = sizes::real(day - 1) * sizes::real(site.runs_per_cycle) / sizes::real(site.dumpcycle.max(1));
        if kb <= share * (CROWDED + runs) {
            return None;
        }
        let due = items.iter().enumerate().filter(|(_, item)| item.next_full == day);
        let fits = due.filter_map(|(place, item)| Some((place, promotable(item, balance)?)));
        let fits = fits.filter(|(_, full)| today + sizes::real(full.kb) <= (CROWDED * share).min(kb - 1.0));
        fits.max_by_key(|(place, full)| (full.kb, std::cmp::Reverse(*place)))
    })
}

/// Returns the full dump that may be made of a disk now.
fn promotable(item: &Item<'_>, balance: &Balance) -> Option<Size> {
    let is_later = item.next_full > 0 && item.next_full <= item.candidate.rules.maxpromoteday && item.dump.level > 0;
    item.size(0).filter(|full| is_later && total(item, *full, balance) <= balance.capacity_kb)
}

fn total(item: &Item<'_>, full: Size, balance: &Balance) -> i64 {
    balance.total_kb.saturating_sub(item.dump.kb).saturating_add(full.kb)
}

fn most_wanted(
    items: &[Item<'_>],
    site: &SiteRules,
    balance: &Balance,
    brought: f64,
    slack: f64,
    counts: &Counts,
) -> Option<(usize, Size)> {
    let mut best: Option<(i64, usize, Size)> = None;
    let today = counts.today;
    for (place, item) in items.iter().enumerate() {
        let Some(full) = promotable(item, balance) else { continue };
        let Places { host, day, both } = counts.places[place];
        let is_too_much = balance.full_kb + brought + sizes::real(full.kb) > balance.balanced_kb + slack;
        let is_alone = counts.of_day[day] == 1 && today == 0;
        if (is_too_much && today > 0) || is_alone {
            continue;
        }
        let host_today = counts.of_host_today[host];
        let squared = host_today.saturating_mul(host_today);
        let same_day = counts.of_both[both];
        let same_day = if host_today == 0 && same_day > 1 { same_day + 1 } else { same_day };
        let crowd = if same_day >= squared { (same_day - squared).saturating_pow(2) } else { -squared };
        let wanted = crowd.saturating_add(site.dumpcycle - item.next_full);
        if best.is_none_or(|(most, ..)| most < wanted) {
            best = Some((wanted, place, full));
        }
    }
    best.map(|(_, place, full)| (place, full))
}

/// Returns a disk that is due on the day with the most.
fn hill(items: &[Item<'_>], site: &SiteRules, balance: &Balance) -> Option<(usize, Size)> {
    let mut days: BTreeMap<i64, (usize, i64)> = BTreeMap::new();
    for item in items.iter().filter(|item| !item.candidate.rules.has_no_full()) {
        let due = item.next_full.max(0);
        if due < site.dumpcycle {
            let day = days.entry(due).or_default();
            let kb = item.candidate.info.stats.get(&0).map_or(0, |full| full.kb);
            *day = (day.0 + 1, day.1.saturating_add(kb));
        }
    }
    days.retain(|_, (disks, kb)| *disks > 1 && *kb > 0);
    let mut hills: Vec<(i64, i64)> = days.into_iter().map(|(day, (_, kb))| (day, kb)).collect();
    hills.sort_by_key(|(day, kb)| (std::cmp::Reverse(*kb), *day));
    hills.into_iter().find_map(|(day, _)| {
        let mut due = items.iter().enumerate().filter(|(_, item)| item.next_full == day && !item.candidate.rules.has_no_full());
        due.find_map(|(place, item)| Some((place, promotable(item, balance)?)))
    })
}

fn one(item: &mut Item<'_>, full: Size, balance: &mut Balance, how: &str, lines: &mut Vec<Line>) {
    let days = item.next_full;
    balance.total_kb = total(item, full, balance);
    balance.full_kb += sizes::real(full.kb);
    item.degraded = Some(item.dump);
    item.dump = full;
    item.next_full = 0;
    item.reason = words::promoted(days);
    item.moved = Some(Moved::Promoted { days });
    let from = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
    lines.push(Line::Info(format!("Full dump of {} {how}promoted from {from} ahead.", words::name(item.candidate.dle))));
}
