//! Enums: values travel and compare as their labels, since the types of the two sides know nothing of each
//! other.

use super::rules::{EnumComparison, enum_comparison, operator};
use super::{Converted, Converter};
use crate::pg::datum::to_text;
use crate::pg::node::{self, Kind, Node};
use crate::pg::types;
use pgrx::pg_sys::Oid;
use warehouse_core::predicate::{Expr, Literal, Reason, TypeName};

impl<'a> Converter<'a, '_> {
    /// A column compared with a value of its enum as the source's own planner knows it best, by its
    /// statistics and indexes: not as text.
    pub(super) fn enum_equality(&mut self, node: Node<'a>) -> Option<Converted> {
        let (opno, args, array) = match node.kind() {
            Kind::Op { opno, opfuncid, args, .. }
                if enum_comparison(opfuncid) == Some(EnumComparison::Equality) =>
            {
                (opno, args, false)
            }
            Kind::ScalarArrayOp { opno, opfuncid, use_or: true, args, .. }
                if enum_comparison(opfuncid) == Some(EnumComparison::Equality) =>
            {
                (opno, args, true)
            }
            _ => return None,
        };
        let op = operator(self.columns, opno).ok().filter(|op| op.symbol == "=")?;
        let [left, right] = args[..] else { return None };
        let there = |node: Node<'a>| match node.kind() {
            Kind::Var { varno, varattno, varlevelsup: 0, .. } if self.columns.owns(varno) => {
                let of = self.columns.enum_there(varno, varattno)?;
                Some((self.columns.column(varno, varattno).ok()?, of))
            }
            _ => None,
        };
        let (column, of, value) = match (there(left), there(right)) {
            (Some((column, of)), None) => (column, of, right),
            (None, Some((column, of))) if !array => (column, of, left),
            _ => return None,
        };
        if self.has_own_column(value) {
            return None;
        }
        let labels = if array { self.labels(value) } else { self.label(value) };
        Some(labels.map(|labels| {
            let value = Expr::OfEnum { of, labels: Box::new(labels), array };
            if array {
                Expr::AnyAll { op, all: false, left: Box::new(column), right: Box::new(value) }
            } else {
                Expr::Operator { op, args: vec![column, value] }
            }
        }))
    }

    /// A value of an enum as its label: types of the same name need not have the same labels on both
    /// sides, but a label is equal to nothing but itself.
    pub(super) fn label(&mut self, node: Node<'a>) -> Converted {
        let text = || TypeName("text".to_owned());
        match node.kind() {
            Kind::Var { varno, varattno, varlevelsup: 0, .. } if self.columns.owns(varno) => {
                let column = self.columns.column(varno, varattno)?;
                Ok(match column {
                    Expr::Literal(literal) => {
                        Expr::Literal(Literal { text: literal.text, of: text() })
                    }
                    column => Expr::Cast { arg: Box::new(column), to: text() },
                })
            }
            Kind::Const { value, .. } => {
                // SAFETY: a Const holds a valid value of its type.
                let label = value.map(|value| unsafe { to_text(value, node.result_type()) });
                Ok(Expr::Literal(Literal { text: label, of: text() }))
            }
            _ if !self.has_own_column(node) && !node.is_volatile() => {
                Ok(self.push_param(node, text()))
            }
            _ => Err(Reason::NotBuiltIn(format!(
                "type {}",
                types::type_name(node.result_type(), -1)
            ))),
        }
    }

    /// The labels of an enum in their order, as they are here when the statement is executed.
    pub(super) fn all_labels(&mut self, of: Oid) -> Expr {
        self.push_param(node::enum_range(of), TypeName("text[]".to_owned()))
    }

    /// The place of an enum's value in the order of its labels here.
    pub fn place(&mut self, node: Node<'a>) -> Converted {
        let label = self.label(node)?;
        let args = vec![self.all_labels(node.result_type()), label];
        let name = "array_position".to_owned();
        Ok(Expr::Function { schema: None, name, args, variadic: false })
    }

    /// An array of enum values as an array of labels.
    pub(super) fn labels(&mut self, node: Node<'a>) -> Converted {
        let array = || TypeName("text[]".to_owned());
        match node.kind() {
            Kind::Const { value, .. } => {
                // SAFETY: as above.
                let labels = value.map(|value| unsafe { to_text(value, node.result_type()) });
                Ok(Expr::Literal(Literal { text: labels, of: array() }))
            }
            Kind::Array { elements, multidims: false, .. } => {
                let elements = elements.into_iter().map(|element| self.label(element));
                Ok(Expr::Array { elements: elements.collect::<Result<_, _>>()?, of: array() })
            }
            _ if !self.has_own_column(node) && !node.is_volatile() => {
                Ok(self.push_param(node, array()))
            }
            _ => Err(Reason::Unsupported("an array of an enum")),
        }
    }
}
