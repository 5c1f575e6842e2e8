//! German.

use super::Words;

pub(super) static WORDS: Words = Words {
    blocked_title: |title| format!("{title} ist in diesem Netz gesperrt"),
    blocked: |name, title| {
        format!("{name} ist von hier aus nicht erreichbar, weil {title} in diesem Netz gesperrt ist.")
    },
    vendor: "Hersteller",
    ground: "Grund",
    policy: "Richtlinie dieses Netzes.",
    policy_by_law: "Richtlinie dieses Netzes. Nach Angabe seiner Betreiber ist es an folgende Vorschriften gebunden:",
    effective: "in Kraft ab",
    since: "Seit",
    contact: "Ansprechpartner",
    alternatives: "Was Sie stattdessen verwenden können",
    acts: "Vorschriften zu diesem Hersteller",
    acts_note: "Zur Information. Die Betreiber dieses Netzes geben nicht an, dass es daran gebunden ist.",
    why_here: "Sie sehen diese Seite, weil der Nameserver dieses Netzes mit der Adresse dieser Seite geantwortet hat statt mit der \
               gesuchten. Der Versuch wird aufgezeichnet: Zeitpunkt, Adresse Ihres Geräts und Name.",
    neutral_title: "Hier ist nichts",
    not_banned: |name| format!("{name} ist für Sie in diesem Netz nicht gesperrt und ist hier nicht zu finden."),
    no_name: "Diese Adresse zeigt, was in diesem Netz gesperrt ist. Sie wurde ohne den Namen einer Website aufgerufen.",
    try_again: "Falls ein Link Sie hierher geführt hat, merkt sich Ihr Gerät vielleicht eine ältere Antwort: Versuchen Sie es in \
                einigen Minuten noch einmal.",
    prohibits: "Sie verbietet die Verwendung des Produkts.",
    prohibits_some: "Sie verbietet einem Teil der Betroffenen die Verwendung des Produkts.",
    binds_supplier: "Sie bindet diejenigen, die das Produkt anbieten, und verbietet nicht seine Verwendung; darüber entscheidet dieses \
                     Netz.",
};
