//! Reads a formula.

use super::functions::Function;

/// A longer nesting is refused.
const DEEPEST: usize = 200;

/// A formula, read. Fields are places in their table.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::apis::airtable) enum Expression {
    Number(f64),
    Text(String),
    Field(usize),
    Call(Function, Vec<Expression>),
    Negate(Box<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
}

/// An operator between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::apis::airtable) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Concatenate,
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Text(String),
    /// In braces.
    Field(String),
    Word(String),
    Sign(&'static str),
}

const SIGNS: [&str; 14] = ["!=", "<=", ">=", "(", ")", ",", "=", "<", ">", "&", "+", "-", "*", "/"];

/// Reads a formula; `field` finds the place of a field by its name. An error says what is wrong.
pub(in crate::apis::airtable) fn parse(
    text: &str,
    field: &dyn Fn(&str) -> Option<usize>,
) -> Result<Expression, String> {
    let mut parser = Parser { tokens: tokens(text)?, place: 0, depth: 0, field };
    let expression = parser.comparison()?;
    match parser.peek() {
        None => Ok(expression),
        Some(token) => Err(format!("{token:?} is too much")),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            rest = &rest[first.len_utf8()..];
        } else if first == '\'' || first == '"' {
            let (content, after) = enclosed(&rest[1..], first)?;
            tokens.push(Token::Text(content));
            rest = after;
        } else if first == '{' {
            let (name, after) = enclosed(&rest[1..], '}')?;
            if name.matches('}').count() > 1 {
                return Err("a name with more than one closing brace cannot be written".to_owned());
            }
            tokens.push(Token::Field(name));
            rest = after;
        } else if first.is_ascii_digit() || (first == '.' && rest.len() > 1) {
            let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
            let (digits, after) = rest.split_at(end.unwrap_or(rest.len()));
            tokens.push(Token::Number(digits.parse().map_err(|_| format!("{digits}?"))?));
            rest = after;
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            tokens.push(Token::Word(word.to_owned()));
            rest = after;
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
            let sign = sign.ok_or_else(|| format!("{first} is not understood"))?;
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        }
    }
    Ok(tokens)
}

/// The content up to an unescaped `end`, and what follows it.
fn enclosed(text: &str, end: char) -> Result<(String, &str), String> {
    let mut content = String::new();
    let mut letters = text.char_indices();
    while let Some((place, letter)) = letters.next() {
        if letter == end {
            return Ok((content, &text[place + letter.len_utf8()..]));
        }
        if letter != '\\' {
            content.push(letter);
            continue;
        }
        match letters.next() {
            Some((_, 'n')) if end != '}' => content.push('\n'),
            Some((_, 't')) if end != '}' => content.push('\t'),
            Some((_, 'r')) if end != '}' => content.push('\r'),
            Some((_, escaped)) => content.push(escaped),
            None => break,
        }
    }
    Err(format!("{end} is missing"))
}

struct Parser<'a> {
    tokens: Vec<Token>,
    place: usize,
    depth: usize,
    field: &'a dyn Fn(&str) -> Option<usize>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.place)
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.place += usize::from(found);
        found
    }

    fn operator(&mut self, operators: &[(&str, Operator)]) -> Option<Operator> {
        operators.iter().find(|(sign, _)| self.take(sign)).map(|(_, operator)| *operator)
    }

    fn comparison(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("it is nested too deeply".to_owned());
        }
        let operators = [
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("=", Operator::Equal),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        let result = self.chain(&operators, |parser| {
            parser.chain(&[("&", Operator::Concatenate)], |parser| {
                parser.chain(&[("+", Operator::Add), ("-", Operator::Subtract)], |parser| {
                    let operators = [("*", Operator::Multiply), ("/", Operator::Divide)];
                    parser.chain(&operators, Parser::single)
                })
            })
        });
        self.depth -= 1;
        result
    }

    fn chain(
        &mut self,
        operators: &[(&str, Operator)],
        mut next: impl FnMut(&mut Self) -> Result<Expression, String>,
    ) -> Result<Expression, String> {
        let mut left = next(self)?;
        while let Some(operator) = self.operator(operators) {
            left = Expression::Binary(operator, Box::new(left), Box::new(next(self)?));
        }
        Ok(left)
    }

    fn single(&mut self) -> Result<Expression, String> {
        if self.take("-") {
            return Ok(Expression::Negate(Box::new(self.single()?)));
        }
        if self.take("(") {
            let inner = self.comparison()?;
            return if self.take(")") { Ok(inner) } else { Err(") is missing".to_owned()) };
        }
        let token = self.peek().cloned().ok_or("something is missing at the end")?;
        self.place += 1;
        match token {
            Token::Number(number) => Ok(Expression::Number(number)),
            Token::Text(text) => Ok(Expression::Text(text)),
            Token::Field(name) => self.named(&name),
            Token::Word(word) if self.take("(") => self.call(&word),
            Token::Word(name) => self.named(&name),
            Token::Sign(sign) => Err(format!("{sign} is not expected")),
        }
    }

    fn named(&self, name: &str) -> Result<Expression, String> {
        (self.field)(name).map(Expression::Field).ok_or_else(|| format!("unknown field {name}"))
    }

    fn call(&mut self, name: &str) -> Result<Expression, String> {
        let function = Function::named(name).ok_or_else(|| format!("unknown function {name}"))?;
        let mut arguments = Vec::new();
        if !self.take(")") {
            loop {
                arguments.push(self.comparison()?);
                if self.take(")") {
                    break;
                }
                if !self.take(",") {
                    return Err(format!("{name} is not closed"));
                }
            }
        }
        if !function.takes().contains(&arguments.len()) {
            return Err(format!("{name} does not take {} arguments", arguments.len()));
        }
        Ok(Expression::Call(function, arguments))
    }
}
