//! French.

use super::Words;

pub(super) static WORDS: Words = Words {
    blocked_title: |title| format!("{title} est bloqué sur ce réseau"),
    blocked: |name, title| format!("{name} n’est pas accessible d’ici, car {title} est bloqué sur ce réseau."),
    vendor: "Fournisseur",
    ground: "Motif",
    policy: "Règle de ce réseau.",
    policy_by_law: "Règle de ce réseau. Selon ses exploitants, les textes suivants s’imposent à lui :",
    effective: "en vigueur à partir du",
    since: "Depuis",
    contact: "À qui s’adresser",
    alternatives: "Que choisir à la place",
    acts: "Textes concernant ce fournisseur",
    acts_note: "À titre d’information. Les exploitants de ce réseau n’indiquent pas qu’ils s’imposent à lui.",
    why_here: "Vous voyez cette page parce que le serveur de noms de ce réseau a donné l’adresse de cette page au lieu de celle qui \
               était demandée. La tentative est enregistrée : l’heure, l’adresse de votre appareil et le nom.",
    neutral_title: "Il n’y a rien ici",
    not_banned: |name| format!("{name} n’est pas bloqué pour vous sur ce réseau, et ne se trouve pas ici."),
    no_name: "Cette adresse indique ce qui est bloqué sur ce réseau. Elle a été demandée sans nom de site.",
    try_again: "Si un lien vous a conduit ici, votre appareil garde peut-être une réponse plus ancienne : réessayez dans quelques \
                minutes.",
    prohibits: "Il interdit l’utilisation du produit.",
    prohibits_some: "Il interdit à certains l’utilisation du produit.",
    binds_supplier: "Il s’impose à ceux qui fournissent le produit et n’en interdit pas l’utilisation ; celle-ci relève de la décision \
                     de ce réseau.",
};
