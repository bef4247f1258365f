//! Putting a log's lines together.

use amanda::dle::Dle;
use amanda::run_log::said::{Program, Said, Verdict, Word, Written};

use super::{Disk, Half, Kind, Run, SHOWN, Try, Volume};

/// Whose lines follow.
struct Follow {
    disk: usize,
    datestamp: String,
    at: usize,
    errors: usize,
    strange: usize,
}

impl Run {
    /// Puts a log together.
    pub fn of(log: &[Said]) -> Self {
        let mut run = Self::default();
        let mut follow = None;
        for said in log {
            if let Said::Continued(line) = said {
                run.continued(follow.as_mut(), line);
                continue;
            }
            follow = None;
            match said {
                Said::Continued(_) | Said::Ended(_) => {}
                Said::Begun(program, _) => run.seen(*program),
                Said::Note(program, text) => {
                    run.seen(*program);
                    run.notes.entry(*program).or_default().push(text.clone());
                }
                Said::Error(program, text) => run.errors.entry(*program).or_default().push(text.clone()),
                Said::Fatal(program, text) => run.fatal.entry(*program).or_default().push(text.clone()),
                Said::NoTape(by_config, text) => run.no_tape = Some((*by_config, text.clone())),
                Said::Start(program, datestamp) => {
                    run.seen(*program);
                    if *program == Program::Planner {
                        run.kind = Kind::Dump;
                    }
                    run.datestamp.clone_from(datestamp);
                }
                Said::Volume { datestamp, storage, label, .. } => {
                    run.datestamp.clone_from(datestamp);
                    run.volume(label).storage.clone_from(storage);
                }
                Said::Finish(program, secs) => {
                    run.finished |= matches!(program, Program::Driver | Program::Amflush | Program::Amvault);
                    run.took.insert(*program, *secs);
                }
                Said::Disk(dle) => {
                    let at = run.disk(dle);
                    run.disks[at].1.listed = true;
                }
                Said::Hostname(name) => run.hostname.clone_from(name),
                Said::Estimate(dle, level, kb) => {
                    let at = run.disk(dle);
                    run.disks[at].1.estimate = Some((*level, *kb));
                }
                Said::Skipped(dle, why) => {
                    let at = run.disk(dle);
                    run.disks[at].1.skipped = Some(why.clone());
                }
                Said::Part(part) => run.part(part),
                Said::Verdict(verdict) => follow = run.verdict(verdict),
            }
        }
        run
    }

    fn seen(&mut self, program: Program) {
        if self.kind == Kind::Unknown {
            self.kind = match program {
                Program::Amflush => Kind::Flush,
                Program::Amvault => Kind::Vault,
                _ => Kind::Unknown,
            };
        }
    }

    fn disk(&mut self, dle: &Dle) -> usize {
        let known = self.disks.iter().position(|(other, _)| other == dle);
        known.unwrap_or_else(|| {
            self.disks.push((dle.clone(), Disk::default()));
            self.disks.len() - 1
        })
    }

    fn volume(&mut self, label: &str) -> &mut Volume {
        let known = self.volumes.iter().position(|volume| volume.label == label);
        let at = known.unwrap_or_else(|| {
            self.volumes.push(Volume { label: label.to_owned(), ..Volume::default() });
            self.volumes.len() - 1
        });
        &mut self.volumes[at]
    }

    /// Returns the try that a line belongs to: the last one that this program has not finished.
    fn the_try(&mut self, dle: &Dle, program: Program, datestamp: &str, of: (Option<&str>, bool)) -> (usize, usize) {
        let disk = self.disk(dle);
        let tries = self.disks[disk].1.dumps.entry(datestamp.to_owned()).or_default();
        let open = (0..tries.len()).rev().find(|at| tries[*at].takes(program, of.0, of.1));
        let at = open.unwrap_or_else(|| {
            tries.push(Try::default());
            tries.len() - 1
        });
        (disk, at)
    }

    fn try_at(&mut self, disk: usize, datestamp: &str, at: usize) -> Option<&mut Try> {
        self.disks.get_mut(disk)?.1.dumps.get_mut(datestamp)?.get_mut(at)
    }

    fn part(&mut self, part: &Written) {
        let (disk, at) = self.the_try(&part.dle, Program::Taper, &part.datestamp, (part.storage.as_deref(), false));
        if let Some(attempt) = self.try_at(disk, &part.datestamp, at) {
            let taper = attempt.taper.get_or_insert_default();
            taper.orig_kb = part.figures.orig_kb;
            taper.parts += 1;
            taper.level = part.level;
        }
        let volume = self.volume(&part.label);
        volume.dumps += u32::from(part.part == 1);
        volume.kb += part.figures.kb;
        volume.secs += part.figures.secs;
        volume.parts += 1;
    }

    fn verdict(&mut self, verdict: &Verdict) -> Option<Follow> {
        let refusal = |verdict: &Verdict| {
            Some(Half { word: Some(verdict.word), level: verdict.level, reason: verdict.reason.clone(), ..Half::default() })
        };
        match verdict.program {
            Program::Planner => {
                let at = self.disk(&verdict.dle);
                self.disks[at].1.planner = refusal(verdict);
                None
            }
            Program::Driver => {
                let at = self.disk(&verdict.dle);
                self.disks[at].1.driver = refusal(verdict);
                None
            }
            program @ (Program::Dumper | Program::Chunker | Program::Taper) => {
                let datestamp = verdict.datestamp.clone().unwrap_or_else(|| self.datestamp.clone());
                let (disk, at) = self.the_try(&verdict.dle, program, &datestamp, (verdict.storage.as_deref(), verdict.vault));
                let attempt = self.try_at(disk, &datestamp, at)?;
                attempt.retry = verdict.retry_level.filter(|_| verdict.word == Word::Retry).or(attempt.retry);
                let half = attempt.half(program).get_or_insert_default();
                half.word = Some(verdict.word);
                half.level = verdict.level;
                half.figures = verdict.figures.or(half.figures);
                half.reason.clone_from(&verdict.reason);
                half.by_config = verdict.by_config;
                half.storage.clone_from(&verdict.storage);
                half.vault = verdict.vault;
                let says = program == Program::Dumper && matches!(verdict.word, Word::Strange | Word::Fail);
                says.then_some(Follow { disk, datestamp, at, errors: 0, strange: 0 })
            }
            _ => None,
        }
    }

    /// What a program complains of (`?`) is kept before what was merely strange (`|`), and that before what is only told.
    fn continued(&mut self, follow: Option<&mut Follow>, line: &str) {
        let Some(follow) = follow else { return };
        let (disk, at) = (follow.disk, follow.at);
        let Some(dumper) = self.try_at(disk, &follow.datestamp, at).and_then(|attempt| attempt.dumper.as_mut()) else { return };
        dumper.lines += 1;
        let keep = if line.starts_with('?') {
            follow.errors += 1;
            follow.errors <= SHOWN
        } else if line.starts_with('|') {
            follow.strange += 1;
            follow.errors + follow.strange <= SHOWN
        } else {
            dumper.lines <= SHOWN
        };
        if keep {
            dumper.said.push(line.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amanda::run_log::said::said;

    fn run(log: &str) -> Run {
        Run::of(&said(log.as_bytes()))
    }

    #[test]
    fn a_dump_that_is_tried_again_has_two_tries() {
        let log = "START planner date 20261122023901\nDISK planner h /d\n\
                   FAIL dumper h /d 20261122023901 0 [no]\n  ? why\n\
                   FAIL chunker h /d 20261122023901 0 [no header]\n\
                   SUCCESS dumper h /d 20261122023901 0 1:2 1:2 [sec 1.0 kb 2 kps 2.0 orig-kb 10]\n\
                   SUCCESS chunker h /d 20261122023901 0 1:2 [sec 1.0 kb 2 kps 2.0]\n";
        let run = run(log);
        let tries = &run.disks[0].1.dumps["20261122023901"];
        assert_eq!(tries.len(), 2);
        assert_eq!(tries[0].dumper.as_ref().expect("dumper").said, ["? why"]);
        assert!(tries[1].chunker.as_ref().expect("chunker").is(&[Word::Success]));
        assert_eq!((run.kind, run.finished), (Kind::Dump, false));
    }

    #[test]
    fn parts_are_counted_on_their_volumes() {
        let part = |label: &str, part: u32| {
            format!("PART taper ST:s POOL:s {label} {part} h /d 20261122023901 {part}/-1 0 [sec 1.0 bytes 2048 kps 2.0 orig-kb 9]\n")
        };
        let log = format!(
            "START taper datestamp 20261122023901 ST:s POOL:s label A tape 1\n{}{}START taper datestamp 20261122023901 ST:s POOL:s label B tape 2\n{}",
            part("A", 1),
            part("A", 2),
            part("B", 3)
        );
        let run = run(&log);
        let seen: Vec<_> = run.volumes.iter().map(|volume| (volume.label.as_str(), volume.kb, volume.dumps, volume.parts)).collect();
        assert_eq!(seen, [("A", 4, 1, 2), ("B", 2, 0, 1)]);
        assert_eq!(run.disks[0].1.dumps["20261122023901"][0].taper.as_ref().expect("taper").parts, 3);
    }
}
