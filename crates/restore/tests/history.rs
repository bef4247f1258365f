//! Every point in time of a disk's history comes back as it was.

mod kit;

use kit::history::{Client, History};
use kit::tree::{Look, assert_same, part, tree};
use kit::{restore, wish};
use wire::restore::Packing;

/// All sorts of things, and then all sorts of changes: a dump of level 0, 1, 2, 3, 1 and 2 again.
fn history(client: Client) -> History {
    let mut history = History::new(client);
    history.change(
        r#"
        mkdir -p docs/deep/er plain swap1/in swap2 circle1 circle2 circle3 nest/x/y becomes-file outer/inner moved wide gone/in
        for dir in docs docs/deep docs/deep/er plain swap1 swap1/in swap2 circle1 circle2 circle3 nest nest/x nest/x/y becomes-file outer \
            outer/inner moved gone gone/in; do echo "a $dir" > $dir/a; echo "b $dir" > $dir/b; done
        echo file > becomes-dir
        for i in $(seq 300); do echo $i > wide/$i; done
        printf x > $'odd\xff\nname'; mkdir $'dir\n\xfe'; echo in > $'dir\n\xfe/in\\n'
        printf 'trailing ' > 'plain/ space '
        long=$(printf 'l%.0s' $(seq 240)); mkdir -p $long/$long; echo long > $long/$long/$long
        truncate -s 3M plain/sparse; printf middle | dd of=plain/sparse bs=1 seek=1000000 conv=notrunc status=none
        ln -s ../nowhere plain/link; mkfifo plain/fifo; mknod plain/null c 1 3
        echo one > plain/one; ln plain/one docs/one; ln plain/one docs/deep/one
        ln -s /etc/passwd plain/out; ln plain/out plain/out2
        touch plain/empty; chmod 4711 plain/a; chmod 750 docs/deep; chown 12:34 docs/a docs/deep; chmod 0 plain/b
        setfattr -n user.colour -v blue plain/a; setfattr -n user.dir -v yes docs; setfacl -m u:12:rw docs/b; setfacl -d -m g:34:rx docs/deep
        mkdir -p $(printf 'd/%.0s' $(seq 60)); echo bottom > $(printf 'd/%.0s' $(seq 60))f
        touch -d '2001-02-03 04:05:06.789' plain/empty
        "#,
    );
    history.dump(0);
    history.change(
        r#"
        echo changed > docs/a; rm docs/b; echo new > docs/new
        mv swap1 t; mv swap2 swap1; mv t swap2
        mv circle1 t; mv circle3 circle1; mv circle2 circle3; mv t circle2
        rm -r becomes-file; echo "now a file" > becomes-file; rm becomes-dir; mkdir becomes-dir; echo in > becomes-dir/in
        mv nest nest2; mv nest2/x nest2/z; echo new > nest2/z/a
        ln docs/one wide/another
        rm wide/1*; printf y > $'odd\xff\nname'
        rm -r gone
        "#,
    );
    history.dump(1);
    history.change(
        r#"
        mv moved outer/moved; mv outer/inner inner2; mv outer outer2; rm plain/one
        mv becomes-file t; mkdir becomes-file; echo again > becomes-file/a; rm -r becomes-dir; mv t becomes-dir
        mkdir gone; echo back > gone/a
        mv nest2 nest; mv swap1/a swap2/c
        chmod 700 plain; setfattr -n user.colour -v red plain/a
        "#,
    );
    history.dump(2);
    history.change("echo last > docs/deep/er/a; mv docs papers; mv papers/deep docs; rm -r wide; echo x >> plain/sparse");
    history.dump(3);
    history.change("mv docs docs2; mkdir docs; mv docs2 docs/docs; rm -rf d; mkdir d; echo d > d/d; rm plain/fifo");
    history.dump(1);
    history.change("mv plain plain2; mv circle1 plain; mv plain2 circle1; rm -r papers");
    history.dump(2);
    history
}

fn every_state_comes_back(mut history: History) {
    for (packing, dump) in [Packing::Plain, Packing::Gzip, Packing::Zstd, Packing::Frames].into_iter().cycle().zip(0..history.dumps.len()) {
        history.packing = packing;
        let to = history.path(&format!("all{dump}"));
        let outcome = restore(&history, dump, &[wish("", "")], &to);
        assert!(outcome.is_whole() && outcome.remarks.is_empty(), "{dump}: {outcome:#?}");
        let look = Look::new(history.is_exact());
        let expected = tree(&history.dumps[dump].copy, look);
        assert_same(&tree(&to, look), &expected, &format!("dump {dump} {packing:?}"));
        assert_eq!(outcome.files + outcome.directories + outcome.others + outcome.links, expected.len() as u64, "{outcome:#?}");
    }
}

#[test]
fn every_state_comes_back_of_dumps_of_our_client() {
    every_state_comes_back(history(Client::Ours));
}

#[test]
fn every_state_comes_back_of_dumps_of_amandas_client() {
    every_state_comes_back(history(Client::Amandas));
}

#[test]
fn a_directory_or_a_file_comes_back_alone() {
    let history = history(Client::Ours);
    let look = Look::new(true);
    for dump in 0..history.dumps.len() {
        let copy = &history.dumps[dump].copy;
        let mut expected = tree(copy, look);
        // A name alone is no other name of anything.
        for is in expected.values_mut() {
            if let Some(at) = is.find(" is \"") {
                is.truncate(at);
            }
        }
        let names: Vec<_> = std::fs::read_dir(copy).expect("a directory").map(|entry| entry.expect("an entry").file_name()).collect();
        for name in names {
            let to = history.path("one");
            let name = std::os::unix::ffi::OsStrExt::as_bytes(name.as_os_str());
            let outcome = restore(&history, dump, &[wish(name, "new/name")], &to);
            assert!(outcome.is_whole(), "{dump} {}: {outcome:#?}", String::from_utf8_lossy(name));
            let found = tree(&to.join("new"), Look { links: false, ..look });
            let under = [name, b"/"].concat();
            let of_it = expected.iter().filter_map(|(path, is)| match path.strip_prefix(under.as_slice()) {
                Some(rest) => Some(([b"name/", rest].concat(), is.clone())),
                None => (path == name).then(|| (b"name".to_vec(), is.clone())),
            });
            assert_same(&found, &of_it.collect(), &format!("{dump} {}", String::from_utf8_lossy(name)));
            std::fs::remove_dir_all(&to).expect("ours");
        }
    }
}

#[test]
fn names_of_one_file_stay_one_when_the_first_is_not_wanted() {
    let history = history(Client::Ours);
    let to = history.path("to");
    // Its first name in the archive is in another directory.
    let outcome = restore(&history, 0, &[wish("plain", "p"), wish("docs/deep/one", "one")], &to);
    assert!(outcome.is_whole(), "{outcome:#?}");
    let found = tree(&to, Look::new(true));
    assert!(found[&b"p/one"[..]].ends_with(" is \"one\""), "{found:#?}");
    let expected = tree(&history.dumps[0].copy, Look::new(true));
    let without_links = |tree: kit::tree::Tree| -> kit::tree::Tree {
        tree.into_iter().map(|(path, is)| (path, is.split(" is ").next().unwrap_or_default().to_owned())).collect()
    };
    assert_same(&without_links(part(&found, "p")), &without_links(part(&expected, "plain")), "plain");
}
