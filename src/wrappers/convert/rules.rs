//! What gives the same at the source: functions, collations, types and their text forms.

use super::{Columns, Converted};
use crate::pg::datum::{TransmissionModes, is_plain, to_text};
use crate::pg::node::{Kind, Node};
use crate::pg::types;
use crate::wrappers::replica::decode::{Travel, travel};
use pgrx::pg_sys::{self, Oid};
use warehouse_core::predicate::{Expr, Literal, OperatorName, Reason, TypeName};

/// Stable built-in functions that depend on nothing of the session but TimeZone, which is the same at
/// the source: conversions between dates, times and timestamps, their comparisons and arithmetic.
/// (to_char and text forms depend on more.)
pub fn depends_on_time_zone_alone(function: &str) -> bool {
    const COMPARED: [(&str, &str); 4] = [
        ("date_", "_timestamptz"),
        ("timestamptz_", "_date"),
        ("timestamp_", "_timestamptz"),
        ("timestamptz_", "_timestamp"),
    ];
    let compares = COMPARED.iter().any(|(left, right)| {
        function
            .strip_prefix(left)
            .and_then(|rest| rest.strip_suffix(right))
            .is_some_and(|op| matches!(op, "lt" | "le" | "eq" | "ne" | "ge" | "gt" | "cmp"))
    });
    compares
        || matches!(
            function,
            "date_trunc"
                | "date_part"
                | "extract"
                | "date"
                | "timestamp"
                | "timestamptz"
                | "time"
                | "timetz"
                | "timezone"
                | "timestamptz_pl_interval"
                | "timestamptz_mi_interval"
                | "interval_pl_timestamptz"
                | "make_timestamptz"
        )
}

/// Whether the source has an object: every server has it, or an extension that the source has too.
pub fn is_known(columns: &dyn Columns, class: Oid, object: Oid) -> bool {
    types::is_builtin(object) || columns.has_extension_of(class, object)
}

/// ASC or DESC for the type's own order, USING for another built-in one.
pub fn direction(columns: &dyn Columns, operator: Oid, of: Oid) -> Option<String> {
    let class = pg_sys::OperatorRelationId;
    if operator == Oid::INVALID || !is_known(columns, class, operator) {
        return None;
    }
    let (less, greater) = types::default_order(of);
    if operator == less {
        Some("ASC".to_owned())
    } else if operator == greater {
        Some("DESC".to_owned())
    } else if types::is_builtin(operator) {
        types::operator(operator).map(|op| format!("USING OPERATOR(pg_catalog.{op})"))
    } else {
        None
    }
}

/// ASC or DESC where an enum's values sort by the place of their labels.
pub fn direction_of_places(operator: Oid) -> Option<String> {
    match types::function(types::operator_function(operator))?.name.as_str() {
        "enum_lt" => Some("ASC".to_owned()),
        "enum_gt" => Some("DESC".to_owned()),
        _ => None,
    }
}

/// Aggregates that compare their input.
pub fn orders_text(function: &str) -> bool {
    matches!(function, "min" | "max")
}

/// Whether computing a value beforehand cannot go wrong where the query would not have computed it
/// (dates that leave the calendar aside).
pub fn never_fails(node: Node<'_>) -> bool {
    let safe = |function: Oid, args: Vec<Node<'_>>| {
        let known = types::is_builtin(function)
            && types::function(function).is_some_and(|f| cannot_fail(&f.name));
        (args.is_empty() || known) && args.into_iter().all(never_fails)
    };
    match node.kind() {
        Kind::Const { .. } | Kind::Param | Kind::Batch { .. } | Kind::SqlValueFunction => true,
        // A column of another relation of the query.
        Kind::Var { .. } => true,
        Kind::Relabel { arg, .. } => never_fails(arg),
        Kind::Func { funcid, args, .. } => safe(funcid, args),
        Kind::Op { opfuncid, args, .. } => safe(opfuncid, args),
        _ => false,
    }
}

/// Functions that take every value of their types.
pub fn cannot_fail(function: &str) -> bool {
    matches!(
        function,
        "textcat"
            | "lower"
            | "upper"
            | "btrim"
            | "ltrim"
            | "rtrim"
            | "timestamptz_pl_interval"
            | "timestamptz_mi_interval"
            | "timestamp_pl_interval"
            | "timestamp_mi_interval"
            | "date_pl_interval"
            | "date_mi_interval"
            | "date_pli"
            | "date_mii"
            | "date"
            | "timestamptz"
            | "timestamp"
    )
}

/// The comparisons of enums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnumComparison {
    /// For equality: that of their labels.
    Equality,
    /// By the order of the labels.
    Order,
}

/// Whether a function compares enums, and how.
pub fn enum_comparison(function: Oid) -> Option<EnumComparison> {
    if !types::is_builtin(function) {
        return None;
    }
    match types::function(function)?.name.as_str() {
        "enum_eq" | "enum_ne" => Some(EnumComparison::Equality),
        "enum_lt" | "enum_le" | "enum_gt" | "enum_ge" => Some(EnumComparison::Order),
        _ => None,
    }
}

/// text, varchar and char(n).
pub fn is_text_like(of: Oid) -> bool {
    matches!(of, pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::BPCHAROID)
}

/// The collation that sorts by bytes.
pub const BYTEWISE: &str = "\"C\"";

/// Whether a collation sorts by bytes.
pub fn is_bytewise(collation: Oid) -> bool {
    // "C" and "POSIX", pg_collation.dat.
    matches!(collation.to_u32(), 950 | 951)
}

/// The two operands of an operator.
pub fn pair(mut args: Vec<Expr>) -> Result<(Box<Expr>, Box<Expr>), Reason> {
    match (args.pop(), args.pop()) {
        (Some(right), Some(left)) => Ok((Box::new(left), Box::new(right))),
        _ => Err(Reason::Unsupported("an operator")),
    }
}

/// An operator that the source has.
pub fn operator(columns: &dyn Columns, opno: Oid) -> Result<OperatorName, Reason> {
    let name = types::operator(opno).ok_or(Reason::Unsupported("an operator"))?;
    if types::is_builtin(opno) {
        Ok(OperatorName::builtin(name))
    } else if columns.has_extension_of(pg_sys::OperatorRelationId, opno) {
        Ok(OperatorName { schema: Some(types::operator_schema(opno)), symbol: name })
    } else {
        Err(Reason::NotBuiltIn(format!("operator {name}")))
    }
}

/// Whether values of the type may be written as literals for the source.
pub fn sendable(columns: &dyn Columns, of: Oid) -> Result<(), Reason> {
    let label = || format!("type {}", types::type_name(of, -1));
    if !types::is_builtin(of) {
        let known = columns.has_extension_of(pg_sys::TypeRelationId, of);
        return if known { Ok(()) } else { Err(Reason::NotBuiltIn(label())) };
    }
    // An amount of money is written by lc_monetary.
    if matches!(of, pg_sys::MONEYOID | pg_sys::MONEYARRAYOID) {
        return Err(Reason::SessionDependentText(label()));
    }
    match travel(of) {
        Travel::Binary => Ok(()),
        // What cannot travel in binary names objects of one server or has no fixed form.
        Travel::Text => Err(Reason::SessionDependentText(label())),
    }
}

/// Types whose text form depends on TimeZone, DateStyle and IntervalStyle alone.
pub fn is_styled(of: Oid) -> bool {
    matches!(
        of,
        pg_sys::DATEOID
            | pg_sys::TIMESTAMPOID
            | pg_sys::TIMESTAMPTZOID
            | pg_sys::TIMETZOID
            | pg_sys::TIMEOID
            | pg_sys::INTERVALOID
    )
}

/// Whether to_char writes the same there: its format is known and takes nothing from the locale.
/// (Names of days and months are English unless TM asks for the locale's.)
pub fn to_char_is_fixed(of: Oid, format: Node<'_>) -> bool {
    let Kind::Const { value: Some(value), consttype } = format.kind() else { return false };
    // SAFETY: a Const holds a valid value of its type.
    let format = unsafe { to_text(value, consttype) }.to_ascii_uppercase();
    match of {
        pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => !format.contains("TM"),
        pg_sys::INT4OID | pg_sys::INT8OID | pg_sys::NUMERICOID => {
            let words = ["FM", "MI", "PL", "SG", "PR", "TH", "RN"];
            let rest = words.iter().fold(format, |format, word| format.replace(word, ""));
            // S, D, G and L are the locale's signs.
            !rest.contains(|c: char| c.is_alphabetic() || matches!(c, '"' | '\\'))
        }
        _ => false,
    }
}

/// A cast through text gives the same there only if the output and input functions depend on
/// nothing of the session.
pub fn text_form_is_fixed(of: Oid, output: bool) -> Result<(), Reason> {
    let label = || types::type_name(of, -1);
    if !types::is_builtin(of) {
        return Err(Reason::NotBuiltIn(format!("type {}", label())));
    }
    let mut function = Oid::INVALID;
    // SAFETY: plain lookups.
    unsafe {
        if output {
            let mut varlena = false;
            pg_sys::getTypeOutputInfo(of, &mut function, &mut varlena);
        } else {
            let mut io_param = Oid::INVALID;
            pg_sys::getTypeInputInfo(of, &mut function, &mut io_param);
        }
    }
    // Floats print by extra_float_digits although their output function counts as immutable.
    // So do the shapes made of them; bytea prints by bytea_output, money by lc_monetary.
    let float = matches!(
        of,
        pg_sys::FLOAT4OID
            | pg_sys::FLOAT8OID
            | pg_sys::POINTOID
            | pg_sys::LSEGOID
            | pg_sys::PATHOID
            | pg_sys::BOXOID
            | pg_sys::POLYGONOID
            | pg_sys::LINEOID
            | pg_sys::CIRCLEOID
            | pg_sys::BYTEAOID
            | pg_sys::MONEYOID
    );
    let fixed = types::function(function).is_some_and(|f| f.volatility == b'i');
    if fixed && !(float && output) { Ok(()) } else { Err(Reason::SessionDependentText(label())) }
}

/// Aggregates that write values as JSON. (jsonb_object_agg counts as immutable and is not.)
pub fn writes_json(aggregate: &str) -> bool {
    let families = ["json_agg", "jsonb_agg", "json_object_agg", "jsonb_object_agg"];
    families.iter().any(|family| aggregate.starts_with(family))
}

/// Whether a value in JSON looks the same there.
pub fn json_form_is_fixed(of: Oid) -> Result<(), Reason> {
    match of {
        // In ISO form whatever DateStyle says; TimeZone is the same there.
        pg_sys::DATEOID | pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => Ok(()),
        _ => text_form_is_fixed(of, true),
    }
}

/// A constant as a literal.
pub fn constant(columns: &dyn Columns, of: Oid, value: Option<pg_sys::Datum>) -> Converted {
    sendable(columns, of)?;
    let _modes = (value.is_some() && !is_plain(of)).then(TransmissionModes::enter);
    // SAFETY: a Const holds a valid value of its type.
    let text = value.map(|value| unsafe { to_text(value, of) });
    Ok(Expr::Literal(Literal { text, of: TypeName(types::type_name(of, -1)) }))
}

/// Comparisons of jsonb use the database's collation without saying so.
pub fn compares_json(function: &str) -> bool {
    matches!(
        function,
        "jsonb_lt"
            | "jsonb_gt"
            | "jsonb_le"
            | "jsonb_ge"
            | "jsonb_cmp"
            // like_regex folds case by it.
            | "jsonb_path_exists"
            | "jsonb_path_exists_opr"
            | "jsonb_path_match"
            | "jsonb_path_match_opr"
            | "jsonb_path_query_first"
            | "jsonb_path_query_array"
            // Of arrays of jsonb.
            | "array_lt"
            | "array_gt"
            | "array_le"
            | "array_ge"
            | "array_larger"
            | "array_smaller"
            | "btarraycmp"
    )
}

/// Types whose order is by the database's collation without saying so.
pub fn orders_by_collation(of: Oid) -> bool {
    matches!(of, pg_sys::JSONBOID | pg_sys::JSONBARRAYOID)
}

/// Built-in functions that get a collation and give the same under every deterministic one.
pub fn ignores_collation(function: &str) -> bool {
    matches!(
        function,
        "texteq"
            | "textne"
            | "bpchareq"
            | "bpcharne"
            | "nameeq"
            | "namene"
            | "nameeqtext"
            | "texteqname"
            | "namenetext"
            | "textnename"
            | "textlike"
            | "textnlike"
            | "bpcharlike"
            | "bpcharnlike"
            | "namelike"
            | "namenlike"
            | "like"
            | "notlike"
            | "textcat"
            | "length"
            | "char_length"
            | "character_length"
            | "octet_length"
            | "bit_length"
            | "md5"
            | "substr"
            | "left"
            | "right"
            | "lpad"
            | "rpad"
            | "btrim"
            | "ltrim"
            | "rtrim"
            | "replace"
            | "strpos"
            | "position"
            | "starts_with"
            | "split_part"
            | "reverse"
            | "repeat"
            | "ascii"
            | "chr"
            | "translate"
            | "to_hex"
            | "text"
            | "varchar"
            | "bpchar"
            | "name"
            | "hashtext"
            | "overlay"
            | "encode"
            | "decode"
            | "sha256"
            | "convert_to"
            | "quote_literal"
            | "jsonb_object_field"
            | "jsonb_object_field_text"
            | "jsonb_array_element"
            | "jsonb_array_element_text"
            | "jsonb_extract_path"
            | "jsonb_extract_path_text"
            | "jsonb_exists"
            | "jsonb_exists_any"
            | "jsonb_exists_all"
            | "json_object_field"
            | "json_object_field_text"
            | "json_array_element"
            | "json_array_element_text"
            | "json_extract_path"
            | "json_extract_path_text"
            | "jsonb_delete"
            | "jsonb_delete_path"
            | "array_eq"
            | "array_ne"
            | "arraycontains"
            | "arraycontained"
            | "arrayoverlap"
            | "array_length"
            | "array_position"
            | "array_positions"
            | "array_remove"
            | "array_replace"
            | "array_append"
            | "array_prepend"
            | "array_cat"
            | "cardinality"
            | "array_ndims"
            | "array_lower"
            | "array_upper"
            | "textpatternlt"
            | "text_pattern_lt"
            | "text_pattern_le"
            | "text_pattern_gt"
            | "text_pattern_ge"
            | "bpchar_pattern_lt"
            | "bpchar_pattern_le"
            | "bpchar_pattern_gt"
            | "bpchar_pattern_ge"
    )
}
