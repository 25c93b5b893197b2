//! The parts of a SELECT one by one, for people.

use super::super::{Expr, From, JoinKind, Select};
use super::writer::Writer;
use super::{Quote, Template};

/// What a SELECT does beyond reading its columns: each join, condition, key and so on as SQL.
pub fn clauses(select: &Select, quote: Quote<'_>) -> Vec<String> {
    let qualified = super::is_qualified(select);
    let text = |expr: &Expr| {
        let mut out = Template::default();
        Writer { quote, qualified, out: &mut out }.expr(expr);
        out.numbered()
    };
    let all =
        |exprs: &[Expr], between: &str| exprs.iter().map(&text).collect::<Vec<_>>().join(between);
    let mut out = Vec::new();
    joins(&select.rows.from, &mut |kind, on| {
        let word = match kind {
            JoinKind::Inner => "JOIN",
            JoinKind::Left => "LEFT JOIN",
            JoinKind::Right => "RIGHT JOIN",
            JoinKind::Full => "FULL JOIN",
        };
        out.push(match on {
            [] => word.to_owned(),
            on => format!("{word} ON {}", all(on, " AND ")),
        });
    });
    out.extend(select.rows.conditions.iter().map(&text));
    if select.distinct {
        out.push(format!("DISTINCT {}", all(&select.outputs, ", ")));
    }
    if let Some(keys) = &select.group_by {
        let aggregates = select.outputs.iter().filter(|output| {
            let mut found = false;
            output.walk(&mut |part| found |= matches!(part, Expr::Aggregate(_)));
            found
        });
        out.extend(aggregates.map(&text));
        if !keys.is_empty() {
            out.push(format!("GROUP BY {}", all(keys, ", ")));
        }
    }
    if !select.having.is_empty() {
        out.push(format!("HAVING {}", all(&select.having, " AND ")));
    }
    if !select.order.is_empty() {
        let mut order = Template::default();
        Writer { quote, qualified, out: &mut order }.order(&select.order, "ORDER BY ");
        out.push(order.numbered());
    }
    for (word, expr) in [("LIMIT", &select.limit), ("OFFSET", &select.offset)] {
        out.extend(expr.iter().map(|expr| format!("{word} {}", text(expr))));
    }
    out
}

fn joins(from: &From, each: &mut impl FnMut(JoinKind, &[Expr])) {
    if let From::Join { kind, left, right, on } = from {
        joins(left, each);
        joins(right, each);
        each(*kind, on);
    }
}
