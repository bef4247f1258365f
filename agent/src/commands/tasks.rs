//! From paths to what is to be done: a restore for each disk, and where each path goes. A decision on values.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use restore::job::Wish;
use restore::resolve::State;
use wire::restore::PathBytes;

use super::locate::{self, Located};
use super::recover::browse::shown;

/// A path of which it is known which disk has it, and that disk as it was.
#[derive(Debug, Clone)]
pub struct Found {
    /// As it was typed, for people.
    pub typed: String,
    /// Where.
    pub located: Located,
    /// As it was.
    pub state: State,
}

/// What comes from one disk.
#[derive(Debug, Clone)]
pub struct Task {
    /// The disk as it was.
    pub state: State,
    /// The directory below which all is written.
    pub target: PathBuf,
    /// What, and where it goes there.
    pub wishes: Vec<Wish>,
    /// As they were typed.
    pub typed: Vec<String>,
}

/// Two paths would go to one place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{first} and {second} are both called {}", shown(name))]
pub struct Same {
    first: String,
    second: String,
    name: PathBuf,
}

/// Puts the paths of each disk together: to where they came from, or below `to` under their last names.
///
/// # Errors
/// When two of them would be one file there.
pub fn tasks(found: Vec<Found>, to: Option<&Path>) -> Result<Vec<Task>, Same> {
    let mut tasks: Vec<Task> = Vec::new();
    let mut taken: HashMap<PathBuf, (String, Located)> = HashMap::new();
    for Found { typed, located, state } in found {
        let at = match to {
            None => located.path.clone(),
            Some(_) => {
                let name = locate::last_name(&located);
                if let Some((first, other)) = taken.get(&name) {
                    if *other == located {
                        continue;
                    }
                    return Err(Same { first: first.clone(), second: typed, name });
                }
                taken.insert(name.clone(), (typed.clone(), located.clone()));
                PathBytes::new(name.as_os_str().as_bytes())
            }
        };
        let target = to.unwrap_or(&located.directory).to_path_buf();
        let wish = Wish { path: located.path, at };
        match tasks.iter_mut().find(|task| task.state.last() == state.last() && task.target == target) {
            Some(task) => {
                task.wishes.push(wish);
                task.typed.push(typed);
            }
            None => tasks.push(Task { state, target, wishes: vec![wish], typed: vec![typed] }),
        }
    }
    Ok(tasks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::DiskName;
    use wire::restore::DumpId;

    fn found(disk: &str, path: &str) -> Found {
        let disk = DiskName::new(disk).expect("a name");
        let dump = DumpId { host: "server".parse().expect("a name"), disk: disk.clone(), datestamp: "20261120183000".to_owned(), level: 0 };
        let directory = PathBuf::from(disk.as_os_str());
        Found {
            typed: format!("{}/{path}", directory.display()),
            located: Located { disk, directory, path: PathBytes::new(path.as_bytes()) },
            state: State { chain: vec![dump], bytes: vec![0], time: 0, passed_over: None, doubt: None },
        }
    }

    fn places(found: Vec<Found>, to: Option<&str>) -> Vec<(String, Vec<String>)> {
        let tasks = tasks(found, to.map(Path::new)).expect("no two are the same");
        let wish = |wish: &Wish| format!("{:?} {:?}", wish.path, wish.at);
        tasks.iter().map(|task| (task.target.display().to_string(), task.wishes.iter().map(wish).collect())).collect()
    }

    #[test]
    fn each_disk_is_a_task_and_paths_go_back_to_where_they_came_from() {
        let back = places(vec![found("/home", "ada/a"), found("/etc", "hosts"), found("/home", "ada/b"), found("/srv", "")], None);
        let expected = [
            ("/home", vec!["\"ada/a\" \"ada/a\"", "\"ada/b\" \"ada/b\""]),
            ("/etc", vec!["\"hosts\" \"hosts\""]),
            ("/srv", vec!["\"\" \"\""]),
        ];
        assert_eq!(back, expected.map(|(target, wishes)| (target.to_owned(), wishes.into_iter().map(str::to_owned).collect())));
    }

    #[test]
    fn elsewhere_they_keep_their_last_names_and_no_two_are_the_same() {
        let there = places(vec![found("/home", "ada/a"), found("/home", "ada/a"), found("/srv", "")], Some("/tmp/x"));
        assert_eq!(there[0], ("/tmp/x".to_owned(), vec!["\"ada/a\" \"a\"".to_owned()]));
        assert_eq!(there[1], ("/tmp/x".to_owned(), vec!["\"\" \"srv\"".to_owned()]));
        let same = tasks(vec![found("/home", "ada/a"), found("/home", "bob/a")], Some(Path::new("/tmp/x"))).expect_err("both are a");
        assert_eq!(same.to_string(), "/home/ada/a and /home/bob/a are both called a");
    }
}
