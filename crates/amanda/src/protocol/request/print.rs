//! From what is asked to the XML, laid out as the server's programs do.

use super::dle::{Compress, DataPath, DleRequest, Encrypt, Estimate, Patterns, Program, Property};
use crate::protocol::xml::Writer;

pub fn dle(dle: &DleRequest) -> Vec<u8> {
    let mut out = Writer::default();
    out.open("dle", "");
    match &dle.program {
        Program::Gnutar => out.word("program", "GNUTAR"),
        Program::Dump => out.word("program", "DUMP"),
        Program::Application => out.word("program", "APPLICATION"),
        Program::Other(other) => out.value("program", other),
    }
    if let Some(application) = &dle.application {
        out.open("backup-program", "");
        out.value("plugin", &application.plugin);
        properties(&mut out, &application.properties);
        optional(&mut out, "client_name", application.client_name.as_deref());
        out.close("backup-program");
    }
    if !dle.estimates.is_empty() {
        out.word("estimate", &dle.estimates.iter().map(|&estimate| estimate_word(estimate)).collect::<String>());
    }
    if dle.calcsize {
        out.word("calcsize", "YES");
    }
    out.value("disk", &dle.disk);
    optional(&mut out, "diskdevice", dle.device.as_deref());
    for level in &dle.levels {
        out.word("level", &format!("{}{}", level.level, if level.server { "<server>YES</server>" } else { "" }));
    }
    if let Some(spindle) = dle.spindle {
        out.word("spindle", &spindle.to_string());
    }
    optional(&mut out, "auth", dle.auth.as_deref());
    compress(&mut out, &dle.compress);
    encrypt(&mut out, &dle.encrypt);
    out.word("record", if dle.record { "YES" } else { "NO" });
    if dle.index {
        out.word("index", "YES");
    }
    if dle.kencrypt {
        out.word("kencrypt", "YES");
    }
    match &dle.data_path {
        DataPath::Amanda => {}
        DataPath::DirectTcp(addresses) => {
            out.open("datapath", "DIRECTTCP");
            addresses.iter().for_each(|address| out.value("directtcp", address));
            out.close("datapath");
        }
    }
    patterns(&mut out, "exclude", &dle.exclude);
    patterns(&mut out, "include", &dle.include);
    for script in &dle.scripts {
        out.open("script", "");
        out.value("plugin", &script.plugin);
        if !script.execute_where.is_empty() {
            out.value("execute_where", &script.execute_where);
        }
        if !script.execute_on.is_empty() {
            out.value("execute_on", &script.execute_on.join(&b','));
        }
        properties(&mut out, &script.properties);
        optional(&mut out, "client_name", script.client_name.as_deref());
        out.close("script");
    }
    properties(&mut out, &dle.properties);
    out.close("dle");
    out.finish()
}

fn optional(out: &mut Writer, name: &str, value: Option<&[u8]>) {
    if let Some(value) = value {
        out.value(name, value);
    }
}

fn estimate_word(estimate: Estimate) -> &'static str {
    match estimate {
        Estimate::Client => "CLIENT ",
        Estimate::Calcsize => "CALCSIZE ",
        Estimate::Server => "SERVER ",
    }
}

fn compress(out: &mut Writer, compress: &Compress) {
    let (word, program) = match compress {
        Compress::None => return,
        Compress::ClientFast => return out.word("compress", "FAST"),
        Compress::ClientBest => return out.word("compress", "BEST"),
        Compress::ServerFast => return out.word("compress", "SERVER-FAST"),
        Compress::ServerBest => return out.word("compress", "SERVER-BEST"),
        Compress::ClientCustom(program) => ("CUSTOM", program),
        Compress::ServerCustom(program) => ("SERVER-CUSTOM", program),
    };
    out.open("compress", word);
    out.value("custom-compress-program", program);
    out.close("compress");
}

fn encrypt(out: &mut Writer, encrypt: &Encrypt) {
    let (word, program, option) = match encrypt {
        Encrypt::None => return,
        Encrypt::Client { program, decrypt_option } => ("CUSTOM", program, decrypt_option),
        Encrypt::Server { program, decrypt_option } => ("SERVER-CUSTOM", program, decrypt_option),
    };
    out.open("encrypt", word);
    out.value("custom-encrypt-program", program);
    optional(out, "decrypt-option", option.as_deref());
    out.close("encrypt");
}

fn patterns(out: &mut Writer, name: &str, patterns: &Patterns) {
    if *patterns == Patterns::default() {
        return;
    }
    out.open(name, "");
    patterns.files.iter().for_each(|file| out.value("file", file));
    patterns.lists.iter().for_each(|list| out.value("list", list));
    if patterns.optional {
        out.word("optional", "YES");
    }
    out.close(name);
}

fn properties(out: &mut Writer, properties: &[Property]) {
    for property in properties {
        out.open("property", "");
        out.value("name", &property.name);
        if property.priority {
            out.word("priority", "yes");
        }
        property.values.iter().for_each(|value| out.value("value", value));
        out.close("property");
    }
}
