//! What is left out when the volumes of a run have no room for all of it (`delay_dumps`).
//!
//! Amanda's order: what alone is too large; full dumps that are due, the one with the youngest last full dump first, but never the most
//! important one; full dumps that were asked for; incremental dumps, the least important first. Then as much comes back as fits.
//! A disk that has no dump to build on is not delayed for others: without a full dump there is nothing of it.

use amanda::curinfo::FORCE_FULL;

use super::{Balance, Item, Line, Moved, SiteRules, Size, Verdict, sizes, words};

/// A dump that was left out, or made smaller.
struct Undone<'a> {
    /// The disk, when it is left out altogether.
    gone: Option<Item<'a>>,
    at: usize,
    /// What was planned.
    was: Size,
    /// Why, as Amanda says it.
    why: String,
}

struct Delay<'a, 'b> {
    items: &'b mut Vec<Item<'a>>,
    site: &'b SiteRules,
    balance: &'b mut Balance,
    undone: Vec<Undone<'a>>,
}

/// Leaves out what has no room.
pub(super) fn delay(
    items: &mut Vec<Item<'_>>,
    site: &SiteRules,
    balance: &mut Balance,
    lines: &mut Vec<Line>,
    verdicts: &mut [Option<Verdict>],
) {
    let mut delay = Delay { items, site, balance, undone: Vec::new() };
    delay.too_large(lines);
    let preserved = delay.preserved();
    let forced = delay.full_dumps(preserved);
    if let Some(preserved) = forced {
        delay.forced(preserved);
    }
    delay.incremental();
    delay.back();
    let undone = delay.undone;
    for Undone { gone, at, was, why } in undone {
        if gone.is_some() {
            lines.push(Line::Fail { at, level: was.level, reason: why.clone() });
            verdicts[at] = Some(Verdict::Failed { level: was.level, reason: why });
        } else if let Some(item) = items.iter_mut().find(|item| item.at == at) {
            lines.push(Line::Delayed { at, reason: why });
            item.moved = Some(Moved::Delayed);
            item.reason = words::delayed(&item.reason);
        }
    }
}

impl Delay<'_, '_> {
    fn is_over(&self) -> bool {
        self.balance.total_kb > self.balance.capacity_kb
    }

    /// What alone does not fit, however much else is left out.
    fn too_large(&mut self, lines: &mut Vec<Line>) {
        let mut place = 0;
        while let Some(item) = self.items.get(place) {
            let rules = &item.candidate.rules;
            let room = self.site.room_for(rules);
            if let Some(full) = item.size(0).filter(|full| full.kb > room) {
                let more = if self.site.runtapes > 1 && !rules.may_split { ", you could allow it to split" } else { "" };
                let name = words::name(item.candidate.dle);
                lines.push(Line::Warning(format!("disk {name}, full dump ({}KB) will be larger than available tape space{more}", full.kb)));
            }
            let dump = item.dump;
            if dump.kb <= room {
                place += 1;
                continue;
            }
            let too_large = item.degraded.is_some_and(|degraded| degraded.kb > room);
            let (gone, why) = match instead(item) {
                _ if dump.level > 0 => (true, "skipping incremental"),
                Ok(()) if too_large => (true, "incremental dump also larger than tape"),
                Ok(()) => (false, "full dump delayed, doing incremental"),
                Err(why) => (true, why),
            };
            let why = format!("dump estimate ({} KB) is larger than available tape space ({room} KB), {why}", dump.kb);
            self.one(place, gone, why);
            if !gone {
                place += 1;
            }
        }
    }

    /// One full dump is made in any case, or each day would be like the one before.
    fn preserved(&self) -> Option<usize> {
        let mut best: Option<&Item<'_>> = None;
        for item in self.items.iter().filter(|item| item.dump.level == 0) {
            let is_better = best.is_none_or(|best| {
                item.priority > best.priority || (item.priority == best.priority && item.full_made() < best.full_made())
            });
            if is_better {
                best = Some(item);
            }
        }
        best.map(|item| item.at)
    }

    /// Full dumps that are due. Returns the one that is made in any case when there are others that were asked for.
    fn full_dumps(&mut self, mut preserved: Option<usize>) -> Option<usize> {
        let mut forced = None;
        while self.is_over() {
            let mut youngest: Option<(usize, i64)> = None;
            for (place, item) in self.items.iter().enumerate().rev().filter(|(_, item)| item.dump.level == 0) {
                if item.is_asked(FORCE_FULL) {
                    preserved = Some(item.at);
                    forced = preserved;
                    continue;
                }
                // Without a last dump there is no date, and it stays.
                let made = if item.last.is_some() { item.full_made() } else { -1 };
                if Some(item.at) != preserved && made > youngest.map_or(0, |(_, made)| made) {
                    youngest = Some((place, made));
                }
            }
            let Some((place, _)) = youngest else { break };
            self.too_big(place, "full dump delayed, doing incremental");
        }
        forced
    }

    fn forced(&mut self, preserved: usize) {
        for place in (0..self.items.len()).rev() {
            let Some(item) = self.items.get(place) else { continue };
            if self.is_over() && item.dump.level == 0 && item.at != preserved && (item.last.is_some() || item.is_asked(FORCE_FULL)) {
                self.too_big(place, "full dump delayed");
            }
        }
    }

    fn incremental(&mut self) {
        for place in (0..self.items.len()).rev() {
            let Some(item) = self.items.get(place) else { continue };
            if self.is_over() && item.dump.level > 0 {
                let why = format!("dumps way too big, {} KB, must skip incremental dumps", item.dump.kb);
                self.one(place, true, why);
            }
        }
    }

    fn too_big(&mut self, place: usize, delayed: &str) {
        let Some(item) = self.items.get(place) else { return };
        let (gone, why) = match instead(item) {
            Ok(()) => (false, delayed),
            Err(why) => (true, why),
        };
        let why = format!("dumps too big, {} KB, {why}", item.dump.kb);
        self.one(place, gone, why);
    }

    fn one(&mut self, place: usize, gone: bool, why: String) {
        let item = &mut self.items[place];
        let (at, was) = (item.at, item.dump);
        if was.level == 0 {
            self.balance.full_kb -= sizes::real(was.kb);
        }
        let instead = item.degraded.filter(|_| !gone);
        self.balance.total_kb = self.balance.total_kb.saturating_sub(self.site.taken(was.kb));
        let gone = match instead {
            Some(instead) => {
                item.dump = instead;
                self.balance.total_kb = self.balance.total_kb.saturating_add(self.site.taken(instead.kb));
                None
            }
            None => Some(self.items.remove(place)),
        };
        self.undone.push(Undone { gone, at, was, why });
    }

    /// Takes back what was not needed, the last first.
    fn back(&mut self) {
        let mut left = Vec::new();
        while let Some(mut undone) = self.undone.pop() {
            let was = undone.was;
            let now = match &undone.gone {
                Some(_) => 0,
                None => self.items.iter().find(|item| item.at == undone.at).map_or(0, |item| self.site.taken(item.dump.kb)),
            };
            let total = self.balance.total_kb.saturating_sub(now).saturating_add(self.site.taken(was.kb));
            let rules =
                undone.gone.as_ref().or_else(|| self.items.iter().find(|item| item.at == undone.at)).map(|item| item.candidate.rules);
            let fits = rules.is_some_and(|rules| was.kb < self.site.room_for(&rules));
            if total > self.balance.capacity_kb || !fits {
                left.push(undone);
                continue;
            }
            self.balance.total_kb = total;
            if was.level == 0 {
                self.balance.full_kb += sizes::real(was.kb);
            }
            match undone.gone.take() {
                Some(item) => {
                    let before = |other: &Item<'_>| (other.priority, other.dump.kb) >= (item.priority, item.dump.kb);
                    let place = self.items.iter().position(|other| !before(other)).unwrap_or(self.items.len());
                    self.items.insert(place, item);
                }
                None => self.items.iter_mut().filter(|item| item.at == undone.at).for_each(|item| item.dump = was),
            }
        }
        left.reverse();
        self.undone = left;
    }
}

/// Whether something smaller can be dumped instead of a full dump.
fn instead(item: &Item<'_>) -> Result<(), &'static str> {
    match item.degraded {
        _ if item.candidate.rules.skip_incr => Err("but cannot incremental dump skip-incr disk"),
        _ if item.last.is_none() => Err("but cannot incremental dump new disk"),
        None => Err("but no incremental estimate"),
        Some(_) => Ok(()),
    }
}
