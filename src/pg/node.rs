//! Expression nodes as a Rust enum.
//!
//! [`Node`] is created once from a pointer the planner handed us; everything reached from it is valid
//! by Postgres's own rules, so walking it is safe code.

use super::list;
use pgrx::pg_sys::{self, Oid};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// A node of an expression tree that lives at least as long as `'a`.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a>(NonNull<pg_sys::Node>, PhantomData<&'a pg_sys::Node>);

/// What a node is. Fields are named as in nodes/primnodes.h.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Kind<'a> {
    Var {
        varno: u32,
        varattno: i16,
        vartype: Oid,
        varlevelsup: u32,
    },
    Const {
        consttype: Oid,
        value: Option<pg_sys::Datum>,
    },
    Param,
    /// The values of a key of a batch, as an array (see [`super::join_node::any_of`]).
    Batch {
        key: usize,
    },
    Op {
        opno: Oid,
        opfuncid: Oid,
        inputcollid: Oid,
        args: Vec<Node<'a>>,
    },
    Distinct {
        opno: Oid,
        opfuncid: Oid,
        inputcollid: Oid,
        args: Vec<Node<'a>>,
    },
    NullIf {
        opno: Oid,
        opfuncid: Oid,
        inputcollid: Oid,
        args: Vec<Node<'a>>,
    },
    ScalarArrayOp {
        opno: Oid,
        opfuncid: Oid,
        use_or: bool,
        inputcollid: Oid,
        args: Vec<Node<'a>>,
    },
    Func {
        funcid: Oid,
        resulttype: Oid,
        variadic: bool,
        implicit_cast: bool,
        explicit_cast: bool,
        inputcollid: Oid,
        args: Vec<Node<'a>>,
    },
    Relabel {
        arg: Node<'a>,
        resulttype: Oid,
        typmod: i32,
    },
    CoerceViaIo {
        arg: Node<'a>,
        resulttype: Oid,
    },
    ArrayCoerce,
    Bool {
        op: BoolOp,
        args: Vec<Node<'a>>,
    },
    NullTest {
        arg: Node<'a>,
        not: bool,
        row: bool,
    },
    BooleanTest {
        arg: Node<'a>,
        test: u32,
    },
    Case {
        arg: Option<Node<'a>>,
        arms: Vec<(Node<'a>, Node<'a>)>,
        otherwise: Option<Node<'a>>,
    },
    CaseTest,
    Coalesce {
        args: Vec<Node<'a>>,
    },
    MinMax {
        greatest: bool,
        args: Vec<Node<'a>>,
        inputcollid: Oid,
    },
    Array {
        array_type: Oid,
        multidims: bool,
        elements: Vec<Node<'a>>,
    },
    Subscript {
        arg: Node<'a>,
        indexes: Vec<Node<'a>>,
        slice: bool,
        container: Oid,
    },
    Collate {
        arg: Node<'a>,
        collation: Oid,
    },
    Aggregate(Aggregate<'a>),
    SqlValueFunction,
    SubQuery,
    Other(&'static str),
}

/// An aggregate call. Fields are named as in Aggref.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Aggregate<'a> {
    pub aggfnoid: Oid,
    pub transtype: Oid,
    pub argtypes: Vec<Oid>,
    pub inputcollid: Oid,
    pub direct: Vec<Node<'a>>,
    /// The aggregated arguments.
    pub args: Vec<Node<'a>>,
    /// The keys of ORDER BY inside.
    pub order: Vec<AggregateOrder<'a>>,
    pub distinct: bool,
    pub filter: Option<Node<'a>>,
    pub star: bool,
    pub variadic: bool,
    /// Ordered-set or hypothetical-set.
    pub within_group: bool,
    /// It has to yield its serialized transition value.
    pub partial: bool,
    /// It neither starts from rows nor yields a result.
    pub foreign_split: bool,
}

/// A key of ORDER BY inside an aggregate.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct AggregateOrder<'a> {
    pub node: Node<'a>,
    pub operator: Oid,
    pub nulls_first: bool,
}

/// AND, OR, NOT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum BoolOp {
    And,
    Or,
    Not,
}

impl<'a> Node<'a> {
    /// Wraps a pointer; `None` for NULL.
    ///
    /// # Safety
    /// `ptr` is NULL or points to a well-formed node tree that lives as long as `'a`.
    pub unsafe fn new<T>(ptr: *const T) -> Option<Node<'a>> {
        NonNull::new(ptr.cast_mut().cast()).map(|ptr| Node(ptr, PhantomData))
    }

    /// The pointer, for handing the node back to Postgres.
    pub fn as_ptr(self) -> *mut pg_sys::Node {
        self.0.as_ptr()
    }

    fn tag(self) -> pg_sys::NodeTag {
        // SAFETY: every node starts with its tag.
        unsafe { self.0.as_ref().type_ }
    }

    /// # Safety
    /// The node's tag says it is a `T`.
    unsafe fn get<T>(self) -> &'a T {
        // SAFETY: the caller's promise, and the tree lives as long as 'a.
        unsafe { self.0.cast::<T>().as_ref() }
    }

    fn child<T>(ptr: *mut T) -> Node<'a> {
        Node(
            NonNull::new(ptr.cast()).expect("invariant: a mandatory child is never NULL"),
            PhantomData,
        )
    }

    fn optional<T>(ptr: *mut T) -> Option<Node<'a>> {
        NonNull::new(ptr.cast()).map(|ptr| Node(ptr, PhantomData))
    }

    fn children(of: *mut pg_sys::List) -> Vec<Node<'a>> {
        // SAFETY: argument lists of expression nodes are pointer lists of nodes.
        unsafe { list::pointers::<pg_sys::Node>(of) }.map(Node::child).collect()
    }

    /// The type of the expression's value.
    pub fn result_type(self) -> Oid {
        // SAFETY: a well-formed expression.
        unsafe { pg_sys::exprType(self.as_ptr()) }
    }

    /// The type modifier of the expression's value.
    pub fn result_typmod(self) -> i32 {
        // SAFETY: a well-formed expression.
        unsafe { pg_sys::exprTypmod(self.as_ptr()) }
    }

    /// The collation of the expression's value.
    pub fn result_collation(self) -> Oid {
        // SAFETY: a well-formed expression.
        unsafe { pg_sys::exprCollation(self.as_ptr()) }
    }

    /// Its value if it is a constant of type bigint that is not NULL.
    pub fn constant_int8(self) -> Option<i64> {
        match self.kind() {
            Kind::Const { consttype: pg_sys::INT8OID, value: Some(value), .. } => {
                Some(value.value() as i64)
            }
            _ => None,
        }
    }

    /// Its value if it is a constant of type text that is not NULL.
    pub fn constant_text(self) -> Option<String> {
        match self.kind() {
            Kind::Const { consttype: pg_sys::TEXTOID, value: Some(value), .. } => {
                // SAFETY: a Const holds a valid value of its type.
                Some(unsafe { super::datum::to_text(value, pg_sys::TEXTOID) })
            }
            _ => None,
        }
    }

    /// Its value if it is a constant number.
    pub fn constant_number(self) -> Option<f64> {
        let Kind::Const { consttype, value: Some(value), .. } = self.kind() else { return None };
        let numeric = matches!(
            consttype,
            pg_sys::INT2OID
                | pg_sys::INT4OID
                | pg_sys::INT8OID
                | pg_sys::FLOAT4OID
                | pg_sys::FLOAT8OID
                | pg_sys::NUMERICOID
        );
        // SAFETY: a Const holds a valid value of its type.
        numeric.then(|| unsafe { super::datum::to_text(value, consttype) })?.parse().ok()
    }

    /// Whether anything in it may change from call to call.
    pub fn is_volatile(self) -> bool {
        // SAFETY: a well-formed expression.
        unsafe { pg_sys::contain_volatile_functions(self.as_ptr()) }
    }

    /// Whether the two trees are equal.
    pub fn equals(self, other: Node<'_>) -> bool {
        // SAFETY: two well-formed trees.
        unsafe { pg_sys::equal(self.as_ptr().cast(), other.as_ptr().cast()) }
    }

    /// # Safety
    /// It is an Aggref.
    unsafe fn aggregate(self) -> Aggregate<'a> {
        // SAFETY: the caller's promise; the lists hold what parsenodes.h says.
        unsafe {
            let a = self.get::<pg_sys::Aggref>();
            let entries: Vec<&pg_sys::TargetEntry> =
                list::pointers::<pg_sys::TargetEntry>(a.args).map(|entry| &*entry).collect();
            let order = list::pointers::<pg_sys::SortGroupClause>(a.aggorder)
                .filter_map(|clause| {
                    let reference = (*clause).tleSortGroupRef;
                    let entry = entries.iter().find(|entry| entry.ressortgroupref == reference)?;
                    Some(AggregateOrder {
                        node: Node::child(entry.expr),
                        operator: (*clause).sortop,
                        nulls_first: (*clause).nulls_first,
                    })
                })
                .collect();
            Aggregate {
                aggfnoid: a.aggfnoid,
                transtype: a.aggtranstype,
                argtypes: entries
                    .iter()
                    .filter(|entry| !entry.resjunk)
                    .map(|entry| pg_sys::exprType(entry.expr.cast()))
                    .collect(),
                inputcollid: a.inputcollid,
                direct: Node::children(a.aggdirectargs),
                args: entries
                    .iter()
                    .filter(|entry| !entry.resjunk)
                    .map(|entry| Node::child(entry.expr))
                    .collect(),
                order,
                distinct: !a.aggdistinct.is_null(),
                filter: Node::optional(a.aggfilter),
                star: a.aggstar,
                variadic: a.aggvariadic,
                within_group: a.aggkind as u8 != b'n',
                partial: a.aggsplit == pg_sys::AggSplit::AGGSPLIT_INITIAL_SERIAL,
                foreign_split: a.aggsplit != pg_sys::AggSplit::AGGSPLIT_SIMPLE
                    && a.aggsplit != pg_sys::AggSplit::AGGSPLIT_INITIAL_SERIAL
                    || a.agglevelsup != 0,
            }
        }
    }

    /// Whether equality of its values is equality of their bytes.
    pub fn collates_deterministically(self) -> bool {
        let collation = self.result_collation();
        collation == Oid::INVALID || super::types::is_deterministic(collation)
    }

    /// Whether an aggregate of this query level is in it.
    pub fn has_aggregate(self) -> bool {
        // SAFETY: a well-formed expression.
        unsafe { pg_sys::contain_agg_clause(self.as_ptr()) }
    }

    /// The columns in it, and with `aggregates` the aggregates as wholes.
    pub fn parts(self, aggregates: bool) -> Vec<Node<'a>> {
        let flags = pg_sys::PVC_RECURSE_PLACEHOLDERS
            | if aggregates { pg_sys::PVC_INCLUDE_AGGREGATES } else { 0 };
        // SAFETY: a well-formed expression; the list is of nodes of the same tree.
        unsafe { Node::children(pg_sys::pull_var_clause(self.as_ptr(), flags as i32)) }
    }

    /// The columns in it, also those in aggregates.
    pub fn columns(self) -> Vec<Node<'a>> {
        let flags = pg_sys::PVC_RECURSE_PLACEHOLDERS | pg_sys::PVC_RECURSE_AGGREGATES;
        // SAFETY: as above.
        unsafe { Node::children(pg_sys::pull_var_clause(self.as_ptr(), flags as i32)) }
    }

    /// The expression under relabelings.
    pub fn unlabeled(self) -> Node<'a> {
        match self.kind() {
            Kind::Relabel { arg, .. } => arg.unlabeled(),
            _ => self,
        }
    }

    /// What it is.
    pub fn kind(self) -> Kind<'a> {
        use pg_sys::NodeTag as T;
        // SAFETY: each arm casts to the structure that its tag names.
        unsafe {
            match self.tag() {
                T::T_Var => {
                    let v = self.get::<pg_sys::Var>();
                    Kind::Var {
                        varno: v.varno as u32,
                        varattno: v.varattno,
                        vartype: v.vartype,
                        varlevelsup: v.varlevelsup,
                    }
                }
                T::T_Const => {
                    let c = self.get::<pg_sys::Const>();
                    Kind::Const {
                        consttype: c.consttype,
                        value: (!c.constisnull).then_some(c.constvalue),
                    }
                }
                T::T_Param => {
                    let param = self.get::<pg_sys::Param>();
                    if param.paramkind == pg_sys::ParamKind::PARAM_SUBLINK {
                        Kind::Batch { key: param.paramid as usize }
                    } else {
                        Kind::Param
                    }
                }
                T::T_OpExpr => {
                    let o = self.get::<pg_sys::OpExpr>();
                    Kind::Op {
                        opno: o.opno,
                        opfuncid: function_of(o.opno, o.opfuncid),
                        inputcollid: o.inputcollid,
                        args: Node::children(o.args),
                    }
                }
                T::T_DistinctExpr => {
                    let o = self.get::<pg_sys::OpExpr>();
                    Kind::Distinct {
                        opno: o.opno,
                        opfuncid: function_of(o.opno, o.opfuncid),
                        inputcollid: o.inputcollid,
                        args: Node::children(o.args),
                    }
                }
                T::T_NullIfExpr => {
                    let o = self.get::<pg_sys::OpExpr>();
                    Kind::NullIf {
                        opno: o.opno,
                        opfuncid: function_of(o.opno, o.opfuncid),
                        inputcollid: o.inputcollid,
                        args: Node::children(o.args),
                    }
                }
                T::T_ScalarArrayOpExpr => {
                    let o = self.get::<pg_sys::ScalarArrayOpExpr>();
                    Kind::ScalarArrayOp {
                        opno: o.opno,
                        opfuncid: function_of(o.opno, o.opfuncid),
                        use_or: o.useOr,
                        inputcollid: o.inputcollid,
                        args: Node::children(o.args),
                    }
                }
                T::T_FuncExpr => {
                    let f = self.get::<pg_sys::FuncExpr>();
                    Kind::Func {
                        funcid: f.funcid,
                        resulttype: f.funcresulttype,
                        variadic: f.funcvariadic,
                        implicit_cast: f.funcformat == pg_sys::CoercionForm::COERCE_IMPLICIT_CAST,
                        explicit_cast: f.funcformat == pg_sys::CoercionForm::COERCE_EXPLICIT_CAST,
                        inputcollid: f.inputcollid,
                        args: Node::children(f.args),
                    }
                }
                T::T_RelabelType => {
                    let r = self.get::<pg_sys::RelabelType>();
                    Kind::Relabel {
                        arg: Node::child(r.arg),
                        resulttype: r.resulttype,
                        typmod: r.resulttypmod,
                    }
                }
                T::T_CoerceViaIO => {
                    let c = self.get::<pg_sys::CoerceViaIO>();
                    Kind::CoerceViaIo { arg: Node::child(c.arg), resulttype: c.resulttype }
                }
                T::T_ArrayCoerceExpr => Kind::ArrayCoerce,
                T::T_BoolExpr => {
                    let b = self.get::<pg_sys::BoolExpr>();
                    Kind::Bool {
                        op: match b.boolop {
                            pg_sys::BoolExprType::AND_EXPR => BoolOp::And,
                            pg_sys::BoolExprType::OR_EXPR => BoolOp::Or,
                            _ => BoolOp::Not,
                        },
                        args: Node::children(b.args),
                    }
                }
                T::T_NullTest => {
                    let n = self.get::<pg_sys::NullTest>();
                    Kind::NullTest {
                        arg: Node::child(n.arg),
                        not: n.nulltesttype == pg_sys::NullTestType::IS_NOT_NULL,
                        row: n.argisrow,
                    }
                }
                T::T_BooleanTest => {
                    let b = self.get::<pg_sys::BooleanTest>();
                    Kind::BooleanTest { arg: Node::child(b.arg), test: b.booltesttype }
                }
                T::T_CaseExpr => {
                    let c = self.get::<pg_sys::CaseExpr>();
                    let arms = list::pointers::<pg_sys::CaseWhen>(c.args)
                        .map(|when| (Node::child((*when).expr), Node::child((*when).result)))
                        .collect();
                    Kind::Case {
                        arg: Node::optional(c.arg),
                        arms,
                        otherwise: Node::optional(c.defresult),
                    }
                }
                T::T_CaseTestExpr => Kind::CaseTest,
                T::T_CoalesceExpr => {
                    let c = self.get::<pg_sys::CoalesceExpr>();
                    Kind::Coalesce { args: Node::children(c.args) }
                }
                T::T_MinMaxExpr => {
                    let m = self.get::<pg_sys::MinMaxExpr>();
                    Kind::MinMax {
                        greatest: m.op == pg_sys::MinMaxOp::IS_GREATEST,
                        args: Node::children(m.args),
                        inputcollid: m.inputcollid,
                    }
                }
                T::T_ArrayExpr => {
                    let a = self.get::<pg_sys::ArrayExpr>();
                    Kind::Array {
                        array_type: a.array_typeid,
                        multidims: a.multidims,
                        elements: Node::children(a.elements),
                    }
                }
                T::T_SubscriptingRef => {
                    let s = self.get::<pg_sys::SubscriptingRef>();
                    let upper: Vec<*mut pg_sys::Node> = list::pointers(s.refupperindexpr).collect();
                    Kind::Subscript {
                        arg: Node::child(s.refexpr),
                        slice: !s.reflowerindexpr.is_null()
                            || !s.refassgnexpr.is_null()
                            || upper.iter().any(|p| p.is_null()),
                        indexes: upper.into_iter().filter_map(Node::optional).collect(),
                        container: s.refcontainertype,
                    }
                }
                T::T_CollateExpr => {
                    let c = self.get::<pg_sys::CollateExpr>();
                    Kind::Collate { arg: Node::child(c.arg), collation: c.collOid }
                }
                T::T_SQLValueFunction => Kind::SqlValueFunction,
                T::T_SubPlan | T::T_AlternativeSubPlan | T::T_SubLink => Kind::SubQuery,
                T::T_RowExpr | T::T_RowCompareExpr => Kind::Other("a row expression"),
                T::T_FieldSelect => Kind::Other("a field of a row"),
                T::T_XmlExpr => Kind::Other("an XML expression"),
                T::T_CoerceToDomain => Kind::Other("a cast to a domain"),
                T::T_ConvertRowtypeExpr => Kind::Other("a row conversion"),
                T::T_CurrentOfExpr => Kind::Other("CURRENT OF"),
                T::T_NextValueExpr => Kind::Other("nextval"),
                T::T_GroupingFunc => Kind::Other("GROUPING"),
                T::T_Aggref => Kind::Aggregate(self.aggregate()),
                T::T_WindowFunc => Kind::Other("a window function"),
                T::T_PlaceHolderVar => Kind::Other("a placeholder"),
                _ => Kind::Other("an expression of this kind"),
            }
        }
    }
}

/// The planner fills `opfuncid` late; the operator always knows.
fn function_of(opno: Oid, opfuncid: Oid) -> Oid {
    // SAFETY: a plain catalog lookup.
    if opfuncid == Oid::INVALID { unsafe { pg_sys::get_opcode(opno) } } else { opfuncid }
}

/// `enum_range(NULL::of)`: an array of the labels of an enum, in their order.
pub fn enum_range<'a>(of: Oid) -> Node<'a> {
    // SAFETY: a zeroed node of its type in the current memory context, as makeNode makes it.
    unsafe {
        let null = pg_sys::makeNullConst(of, -1, Oid::INVALID);
        let call = pg_sys::palloc0(size_of::<pg_sys::FuncExpr>()).cast::<pg_sys::FuncExpr>();
        (*call).xpr.type_ = pg_sys::NodeTag::T_FuncExpr;
        (*call).funcid = Oid::from(pg_sys::F_ENUM_RANGE_ANYENUM);
        (*call).funcresulttype = pg_sys::get_array_type(of);
        (*call).args = list::push(std::ptr::null_mut(), null);
        (*call).location = -1;
        Node::child(call)
    }
}
