//! English.

use super::Words;

pub(super) static WORDS: Words = Words {
    blocked_title: |title| format!("{title} is blocked on this network"),
    blocked: |name, title| format!("{name} cannot be reached from here, because {title} is blocked on this network."),
    vendor: "Vendor",
    ground: "Why",
    policy: "Policy of this network.",
    policy_by_law: "Policy of this network. Those who run it say that these acts bind it:",
    effective: "in effect from",
    since: "Since",
    contact: "Whom to ask",
    alternatives: "What to use instead",
    acts: "Acts about this vendor",
    acts_note: "For information. Those who run this network do not say that they bind it.",
    why_here: "You see this page because the name server of this network answered with the address of this page instead of the \
               one that was asked for. The attempt is on record: its time, the address of your device and the name.",
    neutral_title: "There is nothing here",
    not_banned: |name| format!("{name} is not blocked for you on this network, and it is not to be found here."),
    no_name: "This address shows what is blocked on this network. It was asked for without the name of a website.",
    try_again: "If you were sent here by a link, your device may remember an older answer: try again in a few minutes.",
    prohibits: "It prohibits use of the product.",
    prohibits_some: "It prohibits use of the product to some.",
    binds_supplier: "It binds those who supply the product and does not prohibit its use; that is the decision of this network.",
};
