//! Spanish.

use super::Words;

pub(super) static WORDS: Words = Words {
    blocked_title: |title| format!("{title} está bloqueado en esta red"),
    blocked: |name, title| {
        format!("No se puede acceder a {name} desde aquí, porque {title} está bloqueado en esta red.")
    },
    vendor: "Proveedor",
    ground: "Motivo",
    policy: "Norma de esta red.",
    policy_by_law: "Norma de esta red. Según quienes la administran, las siguientes disposiciones la obligan:",
    effective: "en vigor desde el",
    since: "Desde",
    contact: "A quién preguntar",
    alternatives: "Qué usar en su lugar",
    acts: "Disposiciones sobre este proveedor",
    acts_note: "A título informativo. Quienes administran esta red no indican que la obliguen.",
    why_here: "Usted ve esta página porque el servidor de nombres de esta red respondió con la dirección de esta página en lugar de \
               la solicitada. El intento queda registrado: la hora, la dirección de su dispositivo y el nombre.",
    neutral_title: "Aquí no hay nada",
    not_banned: |name| format!("{name} no está bloqueado para usted en esta red, y no se encuentra aquí."),
    no_name: "Esta dirección muestra lo que está bloqueado en esta red. Se ha solicitado sin el nombre de un sitio web.",
    try_again: "Si ha llegado aquí por un enlace, es posible que su dispositivo recuerde una respuesta anterior: vuelva a intentarlo \
                dentro de unos minutos.",
    prohibits: "Prohíbe el uso del producto.",
    prohibits_some: "Prohíbe a algunos el uso del producto.",
    binds_supplier: "Obliga a quienes suministran el producto y no prohíbe su uso; eso lo decide esta red.",
};
