//! Italian.

use super::Words;

pub(super) static WORDS: Words = Words {
    blocked_title: |title| format!("{title} è bloccato su questa rete"),
    blocked: |name, title| format!("{name} non è raggiungibile da qui, perché {title} è bloccato su questa rete."),
    vendor: "Fornitore",
    ground: "Motivo",
    policy: "Regola di questa rete.",
    policy_by_law: "Regola di questa rete. Secondo chi la gestisce, è vincolata dalle seguenti disposizioni:",
    effective: "in vigore dal",
    since: "Dal",
    contact: "A chi rivolgersi",
    alternatives: "Che cosa usare al suo posto",
    acts: "Disposizioni su questo fornitore",
    acts_note: "A titolo informativo. Chi gestisce questa rete non indica che la vincolino.",
    why_here: "Vede questa pagina perché il server dei nomi di questa rete ha risposto con l’indirizzo di questa pagina invece di \
               quello richiesto. Il tentativo viene registrato: l’ora, l’indirizzo del suo dispositivo e il nome.",
    neutral_title: "Qui non c’è nulla",
    not_banned: |name| format!("{name} non è bloccato per lei su questa rete, e non si trova qui."),
    no_name: "Questo indirizzo mostra che cosa è bloccato su questa rete. È stato richiesto senza il nome di un sito.",
    try_again: "Se è arrivato qui da un collegamento, il suo dispositivo potrebbe ricordare una risposta precedente: riprovi tra \
                qualche minuto.",
    prohibits: "Vieta l’uso del prodotto.",
    prohibits_some: "Vieta ad alcuni l’uso del prodotto.",
    binds_supplier: "Vincola chi fornisce il prodotto e non ne vieta l’uso; su questo decide la rete.",
};
