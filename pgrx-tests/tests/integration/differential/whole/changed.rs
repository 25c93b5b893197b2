//! Local tables changed by what foreign tables say. What was changed comes back, and is undone.

use super::maker::Maker;
use super::plain::conditions;
use super::scope::{Of, Scope};
use super::statement::Statement;

/// DELETE, UPDATE or INSERT of rows of the local table, with RETURNING.
pub fn changed(maker: &mut Maker<'_>) -> Statement {
    let local = Scope::one(Of::L, true, "t");
    let asked = local.asks_another(maker).unwrap_or("t.id > 3".to_owned());
    let (change, targets) = match maker.below(4) {
        0 => {
            (format!("DELETE FROM public.l t WHERE {asked} RETURNING t.*"), vec!["t.id", "t.site"])
        }
        1 => (
            format!("UPDATE public.l t SET w = t.w + 100 WHERE {asked} RETURNING t.*"),
            vec!["t.id", "t.w"],
        ),
        2 => {
            let merged = maker.percent(70);
            let other = Scope::one(maker.pick(&[Of::T, Of::U, Of::E]), merged, "x");
            let more = conditions(maker, &other);
            let inside = match more.is_empty() {
                true => String::new(),
                false => format!(" WHERE {}", more.join(" AND ")),
            };
            (
                format!(
                    "INSERT INTO public.l (id, k) SELECT 1000 + row_number() OVER (), x.id FROM {}{inside} \
                     RETURNING k",
                    other.from
                ),
                vec!["t.k"],
            )
        }
        // Each row meets one row of the other at most.
        _ => (
            "DELETE FROM public.l t USING far_main.u x WHERE x.site = t.site AND x.id = t.k \
             RETURNING t.id, x.site, x.name"
                .to_owned(),
            vec!["t.id", "t.site", "t.name"],
        ),
    };
    let mut statement = Statement::from("gone t".to_owned());
    statement.with = format!("WITH gone AS ({change}) ");
    statement.targets = targets.into_iter().map(str::to_owned).collect();
    statement
}
