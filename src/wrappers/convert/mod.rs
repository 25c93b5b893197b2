//! From Postgres's expression nodes to [`Expr`], and the decision what may leave.
//!
//! A clause is converted as a whole or not at all; the error says which part kept it here. Parts
//! without a column of the scan that do not change within a statement become parameters: they are
//! evaluated here, once an execution.

mod enums;
mod rules;

pub use rules::{direction, direction_of_places};

use crate::pg::node::{self, BoolOp, Kind, Node};
use crate::pg::planner::Planner;
use crate::pg::types;
use pgrx::pg_sys::{self, Oid};
use rules::{
    BYTEWISE, EnumComparison, compares_json, constant, depends_on_time_zone_alone, enum_comparison,
    ignores_collation, is_bytewise, is_known, is_styled, is_text_like, json_form_is_fixed,
    never_fails, operator, orders_by_collation, orders_text, pair, sendable, text_form_is_fixed,
    to_char_is_fixed, writes_json,
};
use warehouse_core::predicate::{
    Aggregate, BoolTest, Expr, OperatorName, Reason, SortTerm, TypeName,
};

/// The result of a conversion.
pub type Converted = Result<Expr, Reason>;

/// What a wrapper knows about its columns.
pub trait Columns {
    /// Whether the relation is part of the scan.
    fn owns(&self, relation: u32) -> bool;
    /// What stands for the column at the source.
    fn column(&self, relation: u32, attribute: i16) -> Converted;
    /// What stands for the column at the source where it only matters whether it is NULL.
    fn presence(&self, relation: u32, attribute: i16) -> Converted;
    /// The enum type that the column has at the source.
    fn enum_there(&self, relation: u32, attribute: i16) -> Option<TypeName>;
    /// Whether the default collation is proven to be the same at the source.
    fn collation_proven(&self) -> bool;
    /// Whether an object (of this catalog) belongs to an extension that the source has too.
    fn has_extension_of(&self, class: Oid, object: Oid) -> bool;
    /// Notes that a text form is made at the source by this session's DateStyle and IntervalStyle.
    fn rely_on_styles(&self);
    /// Notes that the source has to collate as this database does.
    fn rely_on_collation(&self);
}

/// Converts the clauses of one scan and collects their run-time values.
pub struct Converter<'a, 'c> {
    planner: Planner<'a>,
    columns: &'c dyn Columns,
    /// The expressions whose values are sent, in the order of their parameter numbers.
    pub params: Vec<Node<'a>>,
    /// Whether aggregates may be sent.
    aggregates: bool,
    /// What is converted may never be evaluated: a value of it must not be computed beforehand.
    conditional: bool,
}

impl<'a, 'c> Converter<'a, 'c> {
    /// A converter for expressions of the query being planned.
    pub fn new(planner: Planner<'a>, columns: &'c dyn Columns) -> Self {
        Converter { planner, columns, params: Vec::new(), aggregates: false, conditional: false }
    }

    /// The same for expressions above a grouping.
    pub fn with_aggregates(mut self) -> Self {
        self.aggregates = true;
        self
    }

    fn has_own_column(&self, node: Node<'a>) -> bool {
        if node.has_aggregate() {
            return true;
        }
        // SAFETY: a valid tree and planner state; the set is walked and left to its context.
        unsafe {
            let found = pg_sys::pull_varnos(self.planner.as_ptr(), node.as_ptr());
            let mut at = -1;
            loop {
                at = pg_sys::bms_next_member(found, at);
                if at < 0 {
                    return false;
                }
                if self.columns.owns(at as u32) {
                    return true;
                }
            }
        }
    }

    fn param(&mut self, node: Node<'a>) -> Converted {
        let of = node.result_type();
        sendable(self.columns, of)?;
        Ok(self.push_param(node, TypeName(types::type_name(of, -1))))
    }

    fn push_param(&mut self, node: Node<'a>, of: TypeName) -> Expr {
        let known = self.params.iter().position(|p| p.equals(node));
        let index = known.unwrap_or_else(|| {
            self.params.push(node);
            self.params.len() - 1
        });
        Expr::Param { index, of }
    }

    /// Notes what something relies on that has been converted before.
    pub fn rely(&self, on_collation: bool, on_styles: bool) {
        if on_collation {
            self.columns.rely_on_collation();
        }
        if on_styles {
            self.columns.rely_on_styles();
        }
    }

    /// Converts a whole clause; what a failed attempt collected is forgotten.
    pub fn clause(&mut self, node: Node<'a>) -> Converted {
        let before = self.params.len();
        let converted = self.expr(node);
        if converted.is_err() {
            self.params.truncate(before);
        }
        converted
    }

    /// Converts a condition that drops rows: it may be NULL where it would be false.
    pub fn condition(&mut self, node: Node<'a>) -> Converted {
        let before = self.params.len();
        let converted = self.filter(node);
        if converted.is_err() {
            self.params.truncate(before);
        }
        converted
    }

    fn filter(&mut self, node: Node<'a>) -> Converted {
        // SAFETY: raises an ordinary ERROR when the stack is nearly full.
        unsafe { pg_sys::check_stack_depth() };
        match node.kind() {
            Kind::Bool { op: BoolOp::And, args } if self.has_own_column(node) => {
                self.first_for_sure(args, Self::filter).map(Expr::And)
            }
            Kind::Bool { op: BoolOp::Or, args } if self.has_own_column(node) => {
                self.first_for_sure(args, Self::filter).map(Expr::Or)
            }
            _ => self.enum_equality(node).unwrap_or_else(|| self.expr(node)),
        }
    }

    /// Converts an expression.
    fn expr(&mut self, node: Node<'a>) -> Converted {
        // SAFETY: raises an ordinary ERROR when the stack is nearly full.
        unsafe { pg_sys::check_stack_depth() };
        let kind = node.kind();
        match &kind {
            Kind::Const { consttype, value, .. } => {
                return constant(self.columns, *consttype, *value);
            }
            Kind::Var { varno, varattno, varlevelsup: 0, vartype, .. }
                if self.columns.owns(*varno) =>
            {
                let column = self.columns.column(*varno, *varattno)?;
                let base = types::base_type(*vartype);
                if is_known(self.columns, pg_sys::TypeRelationId, base) {
                    return Ok(column);
                }
                return Err(Reason::NotBuiltIn(format!("type {}", types::type_name(*vartype, -1))));
            }
            Kind::SubQuery => return Err(Reason::SubQuery),
            Kind::Other(what) => return Err(Reason::Unsupported(what)),
            _ => {}
        }
        if !self.has_own_column(node) {
            if node.is_volatile() {
                return Err(Reason::NotImmutable("a volatile function".to_owned()));
            }
            if self.conditional && !never_fails(node) {
                return Err(Reason::Unreached);
            }
            return self.param(node);
        }
        match kind {
            Kind::Op { opno, opfuncid, args, .. } if enum_comparison(opfuncid).is_some() => {
                let op = operator(self.columns, opno)?;
                let ordered = enum_comparison(opfuncid) == Some(EnumComparison::Order);
                let args = args
                    .into_iter()
                    .map(|arg| if ordered { self.place(arg) } else { self.label(arg) });
                Ok(Expr::Operator { op, args: args.collect::<Result<_, _>>()? })
            }
            Kind::Distinct { opfuncid, args, .. } if enum_comparison(opfuncid).is_some() => {
                let labels = args.into_iter().map(|arg| self.label(arg));
                let (left, right) = pair(labels.collect::<Result<_, _>>()?)?;
                Ok(Expr::Distinct { left, right })
            }
            Kind::ScalarArrayOp { opno, opfuncid, use_or, args, .. }
                if enum_comparison(opfuncid) == Some(EnumComparison::Equality) =>
            {
                let op = operator(self.columns, opno)?;
                let [left, right] = args[..] else { return Err(Reason::Unsupported("ANY")) };
                let (left, right) = (Box::new(self.label(left)?), Box::new(self.labels(right)?));
                Ok(Expr::AnyAll { op, all: !use_or, left, right })
            }
            Kind::CoerceViaIo { arg, resulttype, .. }
                if types::is_enum(arg.result_type()) && is_text_like(resulttype) =>
            {
                let label = self.label(arg)?;
                self.cast_expr(label, resulttype, -1)
            }
            Kind::Op { opno, opfuncid, inputcollid, args, .. } => {
                let collate = self.function_may_go(opfuncid, inputcollid)?;
                let op = operator(self.columns, opno)?;
                Ok(Expr::Operator { op, args: self.operands(args, collate)? })
            }
            Kind::Distinct { opno, opfuncid, inputcollid, args } => {
                let collate = self.function_may_go(opfuncid, inputcollid)?;
                operator(self.columns, opno)?;
                let (left, right) = pair(self.operands(args, collate)?)?;
                Ok(Expr::Distinct { left, right })
            }
            Kind::NullIf { opno, opfuncid, inputcollid, args, .. } => {
                let collate = self.function_may_go(opfuncid, inputcollid)?;
                operator(self.columns, opno)?;
                let (left, right) = pair(self.operands(args, collate)?)?;
                Ok(Expr::NullIf { left, right })
            }
            Kind::ScalarArrayOp { opno, opfuncid, use_or, inputcollid, args } => {
                let collate = self.function_may_go(opfuncid, inputcollid)?;
                let op = operator(self.columns, opno)?;
                let (left, right) = pair(self.operands(args, collate)?)?;
                Ok(Expr::AnyAll { op, all: !use_or, left, right })
            }
            Kind::Func {
                funcid,
                resulttype,
                variadic,
                implicit_cast,
                explicit_cast,
                inputcollid,
                args,
                ..
            } => {
                if let [value, format] = args[..]
                    && types::is_builtin(funcid)
                    && types::function(funcid).is_some_and(|f| f.name == "to_char")
                    && to_char_is_fixed(value.result_type(), format)
                {
                    let args = self.all(args)?;
                    let name = "to_char".to_owned();
                    return Ok(Expr::Function { schema: None, name, args, variadic });
                }
                let collate = self.function_may_go(funcid, inputcollid)?;
                if implicit_cast || explicit_cast {
                    let typmod = node.result_typmod();
                    let arg = args.first().copied().ok_or(Reason::Unsupported("a cast"))?;
                    return self.cast(arg, resulttype, typmod);
                }
                let function = types::function(funcid).ok_or(Reason::Unsupported("a function"))?;
                let schema = (!types::is_builtin(funcid)).then(|| types::function_schema(funcid));
                Ok(Expr::Function {
                    schema,
                    name: function.name.clone(),
                    args: self.operands(args, collate)?,
                    variadic,
                })
            }
            Kind::Relabel { arg, resulttype, typmod, .. } => self.cast(arg, resulttype, typmod),
            Kind::CoerceViaIo { arg, resulttype, .. } => {
                if is_styled(arg.result_type()) {
                    self.columns.rely_on_styles();
                } else {
                    text_form_is_fixed(arg.result_type(), true)?;
                }
                text_form_is_fixed(resulttype, false)?;
                self.cast(arg, resulttype, -1)
            }
            Kind::ArrayCoerce => Err(Reason::Unsupported("a cast of arrays")),
            Kind::Bool { op, args } => {
                let mut args = match op {
                    BoolOp::Not => self.all(args)?,
                    BoolOp::And | BoolOp::Or => self.first_for_sure(args, Self::expr)?,
                };
                Ok(match op {
                    BoolOp::And => Expr::And(args),
                    BoolOp::Or => Expr::Or(args),
                    BoolOp::Not => Expr::Not(Box::new(args.remove(0))),
                })
            }
            Kind::NullTest { row: true, .. } => Err(Reason::WholeRow),
            Kind::NullTest { arg, not, .. } => {
                Ok(Expr::IsNull { arg: Box::new(self.presence(arg)?), not })
            }
            Kind::BooleanTest { arg, test } => {
                use pg_sys::BoolTestType as T;
                let test = match test {
                    T::IS_TRUE => BoolTest::IsTrue,
                    T::IS_NOT_TRUE => BoolTest::IsNotTrue,
                    T::IS_FALSE => BoolTest::IsFalse,
                    T::IS_NOT_FALSE => BoolTest::IsNotFalse,
                    T::IS_UNKNOWN => BoolTest::IsUnknown,
                    _ => BoolTest::IsNotUnknown,
                };
                Ok(Expr::BoolTest { arg: Box::new(self.expr(arg)?), test })
            }
            Kind::Case { arg, arms, otherwise, .. } => self.case(arg, arms, otherwise),
            Kind::Coalesce { args, .. } => {
                Ok(Expr::Coalesce(self.first_for_sure(args, Self::expr)?))
            }
            Kind::MinMax { greatest, args, inputcollid, .. } => {
                if inputcollid != Oid::INVALID {
                    self.collation_may_go("greatest", inputcollid)?;
                    if is_bytewise(inputcollid) {
                        return Err(Reason::Collation);
                    }
                }
                for arg in &args {
                    let json = orders_by_collation(arg.result_type());
                    if json && !self.columns.collation_proven() {
                        return Err(Reason::Collation);
                    }
                    sendable(self.columns, arg.result_type())?;
                }
                let args = self.all(args)?;
                Ok(if greatest { Expr::Greatest(args) } else { Expr::Least(args) })
            }
            Kind::Array { multidims: true, .. } => Err(Reason::Unsupported("a nested array")),
            Kind::Array { array_type, elements, .. } => {
                sendable(self.columns, array_type)?;
                let of = TypeName(types::type_name(array_type, -1));
                Ok(Expr::Array { elements: self.all(elements)?, of })
            }
            Kind::Subscript { slice: true, .. } => Err(Reason::Unsupported("an array slice")),
            Kind::Subscript { arg, indexes, container, .. } => {
                sendable(self.columns, container)?;
                Ok(Expr::Subscript { arg: Box::new(self.expr(arg)?), indexes: self.all(indexes)? })
            }
            Kind::Collate { arg, collation } => {
                if is_bytewise(collation) {
                    Ok(Expr::Collate {
                        arg: Box::new(self.expr(arg)?),
                        collation: BYTEWISE.to_owned(),
                    })
                } else {
                    Err(Reason::Collation)
                }
            }
            Kind::Aggregate(aggregate) => self.aggregate(aggregate),
            Kind::CaseTest => Err(Reason::Unsupported("CASE with a converted operand")),
            Kind::SqlValueFunction => Err(Reason::Unsupported("a session value")),
            Kind::Const { .. } | Kind::Var { .. } | Kind::Param | Kind::Batch { .. } => {
                Err(Reason::Unsupported("a reference to another relation"))
            }
            Kind::SubQuery => Err(Reason::SubQuery),
            Kind::Other(what) => Err(Reason::Unsupported(what)),
        }
    }

    /// An expression that is only asked whether it is NULL: a column may be of any type then.
    fn presence(&mut self, node: Node<'a>) -> Converted {
        match node.kind() {
            Kind::Var { varno, varattno, varlevelsup: 0, .. } if self.columns.owns(varno) => {
                self.columns.presence(varno, varattno)
            }
            _ => self.expr(node),
        }
    }

    fn aggregate(&mut self, aggregate: node::Aggregate<'a>) -> Converted {
        if !self.aggregates || aggregate.partial {
            return Err(Reason::Unsupported("an aggregate"));
        }
        self.result_of(aggregate)
    }

    /// An aggregate whose transition value is its result.
    pub fn result_of(&mut self, aggregate: node::Aggregate<'a>) -> Converted {
        let of = aggregate.argtypes.first().copied().unwrap_or(Oid::INVALID);
        let extreme = types::function(aggregate.aggfnoid)
            .is_some_and(|function| orders_text(&function.name) && types::is_enum(of));
        if !extreme {
            return Ok(Expr::Aggregate(Box::new(self.call(aggregate)?)));
        }
        // The label at the first or last place that occurs.
        let [value] = aggregate.args[..] else { return Err(Reason::Unsupported("an aggregate")) };
        let place = self.place(value)?;
        let labels = self.all_labels(of);
        let filter = aggregate.filter;
        let name = types::function(aggregate.aggfnoid).map(|f| f.name.clone()).unwrap_or_default();
        let call = Aggregate {
            name,
            star: false,
            distinct: false,
            args: vec![place],
            variadic: false,
            order: Vec::new(),
            within_group: false,
            filter: filter.map(|node| self.expr(node)).transpose()?.map(Box::new),
        };
        let indexes = vec![Expr::Aggregate(Box::new(call))];
        Ok(Expr::Subscript { arg: Box::new(labels), indexes })
    }

    /// The call of an aggregate, whatever is made of its result.
    pub fn call(&mut self, aggregate: node::Aggregate<'a>) -> Result<Aggregate, Reason> {
        if aggregate.foreign_split {
            return Err(Reason::Unsupported("an aggregate"));
        }
        let function =
            types::function(aggregate.aggfnoid).ok_or(Reason::Unsupported("a function"))?;
        if !is_known(self.columns, pg_sys::ProcedureRelationId, aggregate.aggfnoid) {
            return Err(Reason::NotBuiltIn(format!("aggregate {}", function.name)));
        }
        let json = aggregate.argtypes.iter().any(|of| orders_by_collation(*of));
        if json && (aggregate.distinct || aggregate.within_group || orders_text(&function.name)) {
            return Err(Reason::Collation);
        }
        if writes_json(&function.name) {
            aggregate.argtypes.iter().try_for_each(|of| json_form_is_fixed(*of))?;
        }
        // DISTINCT sorts its values, and they come out in that order.
        let sorts = orders_text(&function.name)
            || aggregate.within_group
            || aggregate.distinct && function.name != "count";
        let collate = sorts && self.collation_may_go(&function.name, aggregate.inputcollid)?;
        let mut order = Vec::new();
        for key in &aggregate.order {
            let collation =
                self.sort_collation(key.node.result_type(), key.node.result_collation())?;
            let direction = direction(self.columns, key.operator, key.node.result_type())
                .ok_or(Reason::Unsupported("this sort key"))?;
            order.push(SortTerm {
                expr: self.expr(key.node)?,
                collation: collation.map(Into::into),
                direction,
                nulls_first: key.nulls_first,
            });
        }
        // The arguments of an ordered-set aggregate stand in its order.
        let args = if aggregate.within_group { aggregate.direct } else { aggregate.args };
        let args = if function.name == "count"
            && let [value] = args[..]
            && types::is_enum(value.result_type())
        {
            vec![self.label(value)?]
        } else if function.name == "count" && !aggregate.distinct {
            // Whether a value is there does not depend on its type.
            args.into_iter().map(|arg| self.presence(arg)).collect::<Result<_, _>>()?
        } else {
            self.operands(args, collate && !aggregate.within_group)?
        };
        Ok(Aggregate {
            name: function.name.clone(),
            star: aggregate.star,
            distinct: aggregate.distinct,
            args,
            variadic: aggregate.variadic,
            order,
            within_group: aggregate.within_group,
            filter: aggregate.filter.map(|node| self.expr(node)).transpose()?.map(Box::new),
        })
    }

    fn all(&mut self, nodes: Vec<Node<'a>>) -> Result<Vec<Expr>, Reason> {
        nodes.into_iter().map(|node| self.expr(node)).collect()
    }

    /// Of these only the first is evaluated in any case.
    fn first_for_sure(
        &mut self,
        nodes: Vec<Node<'a>>,
        convert: fn(&mut Self, Node<'a>) -> Converted,
    ) -> Result<Vec<Expr>, Reason> {
        let mut nodes = nodes.into_iter();
        let mut out = Vec::with_capacity(nodes.len());
        if let Some(first) = nodes.next() {
            out.push(convert(self, first)?);
        }
        self.conditionally(|this| {
            for node in nodes {
                out.push(convert(this, node)?);
            }
            Ok(out)
        })
    }

    fn conditionally<T>(
        &mut self,
        convert: impl FnOnce(&mut Self) -> Result<T, Reason>,
    ) -> Result<T, Reason> {
        let before = std::mem::replace(&mut self.conditional, true);
        let out = convert(self);
        self.conditional = before;
        out
    }

    fn operands(&mut self, args: Vec<Node<'a>>, collate: bool) -> Result<Vec<Expr>, Reason> {
        // The explicit collation goes to one operand that can have it.
        let collatable = if collate {
            args.iter().position(|arg| arg.result_collation() != Oid::INVALID)
        } else {
            None
        };
        let mut out = self.all(args)?;
        if let Some(arg) = collatable.and_then(|at| out.get_mut(at)) {
            let inner = std::mem::replace(arg, Expr::And(Vec::new()));
            *arg = Expr::Collate { arg: Box::new(inner), collation: BYTEWISE.to_owned() };
        }
        Ok(out)
    }

    fn cast(&mut self, arg: Node<'a>, to: Oid, typmod: i32) -> Converted {
        sendable(self.columns, to)?;
        let arg = self.expr(arg)?;
        self.cast_expr(arg, to, typmod)
    }

    fn cast_expr(&self, arg: Expr, to: Oid, typmod: i32) -> Converted {
        Ok(Expr::Cast { arg: Box::new(arg), to: TypeName(types::type_name(to, typmod)) })
    }

    fn case(
        &mut self,
        arg: Option<Node<'a>>,
        arms: Vec<(Node<'a>, Node<'a>)>,
        otherwise: Option<Node<'a>>,
    ) -> Converted {
        let operand = arg.map(|arg| self.compared(arg)).transpose()?.map(Box::new);
        self.conditionally(|this| this.arms(operand, arms, otherwise))
    }

    /// A value that is compared for equality.
    fn compared(&mut self, node: Node<'a>) -> Converted {
        if types::is_enum(node.result_type()) { self.label(node) } else { self.expr(node) }
    }

    fn arms(
        &mut self,
        operand: Option<Box<Expr>>,
        arms: Vec<(Node<'a>, Node<'a>)>,
        otherwise: Option<Node<'a>>,
    ) -> Converted {
        let mut out = Vec::with_capacity(arms.len());
        for (when, then) in arms {
            let when = if operand.is_some() {
                // The short form compares a placeholder with the value; only plain equality of the
                // same shape can be written back.
                match when.kind() {
                    Kind::Op { opno, opfuncid, inputcollid, args, .. } => {
                        let collate = self.function_may_go(opfuncid, inputcollid)?;
                        let op = operator(self.columns, opno)?;
                        let plain = matches!(args.first().map(|a| a.kind()), Some(Kind::CaseTest));
                        if collate || !plain || op != OperatorName::builtin("=") {
                            return Err(Reason::Unsupported("CASE with a converted operand"));
                        }
                        let value = args.get(1).copied().ok_or(Reason::Unsupported("CASE"))?;
                        self.compared(value)?
                    }
                    _ => return Err(Reason::Unsupported("CASE with a converted operand")),
                }
            } else {
                self.expr(when)?
            };
            out.push((when, self.expr(then)?));
        }
        let otherwise = otherwise.map(|node| self.expr(node)).transpose()?.map(Box::new);
        Ok(Expr::Case { operand, arms: out, otherwise })
    }

    /// Whether a function may run at the source; `true` when its input has to be collated bytewise
    /// there explicitly.
    fn function_may_go(&self, funcid: Oid, inputcollid: Oid) -> Result<bool, Reason> {
        let function = types::function(funcid).ok_or(Reason::Unsupported("a function"))?;
        let label = || format!("function {}", function.name);
        if !is_known(self.columns, pg_sys::ProcedureRelationId, funcid) {
            return Err(Reason::NotBuiltIn(label()));
        }
        // Its result depends on the version's keywords and on quote_all_identifiers.
        if function.name == "quote_ident" {
            return Err(Reason::NotImmutable(label()));
        }
        if function.volatility != b'i' && !depends_on_time_zone_alone(&function.name) {
            return Err(Reason::NotImmutable(label()));
        }
        self.collation_may_go(&function.name, inputcollid)
    }

    /// The collation part of [`Self::function_may_go`].
    fn collation_may_go(&self, function: &str, inputcollid: Oid) -> Result<bool, Reason> {
        if compares_json(function) && !self.columns.collation_proven() {
            return Err(Reason::Collation);
        }
        if inputcollid == Oid::INVALID {
            return Ok(false);
        }
        if !types::is_deterministic(inputcollid) {
            return Err(Reason::Collation);
        }
        if ignores_collation(function) {
            return Ok(false);
        }
        if is_bytewise(inputcollid) {
            return Ok(true);
        }
        let default = inputcollid == pg_sys::DEFAULT_COLLATION_OID;
        if default && self.columns.collation_proven() { Ok(false) } else { Err(Reason::Collation) }
    }

    /// The collation to write behind a sort key, `None` for none.
    pub fn sort_collation(&self, of: Oid, collation: Oid) -> Result<Option<&'static str>, Reason> {
        if orders_by_collation(of) && !self.columns.collation_proven() {
            Err(Reason::Collation)
        } else if collation == Oid::INVALID {
            Ok(None)
        } else if is_bytewise(collation) {
            Ok(Some(BYTEWISE))
        } else if collation == pg_sys::DEFAULT_COLLATION_OID && self.columns.collation_proven() {
            Ok(None)
        } else {
            Err(Reason::Collation)
        }
    }
}
