//! Aligned tables for people: rows of text in, lines out, cut to the terminal's width where there is one.

use super::text;

/// How a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// Text, kept whole.
    Text(&'static str),
    /// Text that may be cut when the terminal is narrow.
    Long(&'static str),
    /// Numbers and spans, right-aligned.
    Number(&'static str),
}

impl Column {
    const fn title(self) -> &'static str {
        match self {
            Self::Text(title) | Self::Long(title) | Self::Number(title) => title,
        }
    }
}

/// No column is cut below this, in characters.
const CUT_WIDTH_MIN: usize = 8;
const GAP: usize = 2;

/// The table, one line per row after the titles. `width` is the terminal's, in characters; `None` cuts nothing.
pub(crate) fn render(columns: &[Column], rows: &[Vec<String>], width: Option<usize>) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| text::line(cell)).collect()).collect();
    let mut widths: Vec<usize> = columns.iter().map(|column| column.title().chars().count()).collect();
    for row in &rows {
        for (cell, width) in row.iter().zip(&mut widths) {
            *width = (*width).max(cell.chars().count());
        }
    }
    if let Some(limit) = width {
        shrink(columns, &mut widths, limit);
    }
    let mut out = String::new();
    push_row(&mut out, columns, &widths, columns.iter().map(|column| column.title()));
    for row in &rows {
        push_row(&mut out, columns, &widths, row.iter().map(String::as_str));
    }
    out
}

/// Takes from the widest column that may be cut, until all fit or none can give more.
fn shrink(columns: &[Column], widths: &mut [usize], limit: usize) {
    let gaps = GAP * columns.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > limit {
        let widest = columns
            .iter()
            .zip(widths.iter_mut())
            .filter(|(column, width)| matches!(column, Column::Long(_)) && **width > CUT_WIDTH_MIN)
            .map(|(_, width)| width)
            .max();
        match widest {
            Some(width) => *width -= 1,
            None => return,
        }
    }
}

fn push_row<'a>(
    out: &mut String,
    columns: &[Column],
    widths: &[usize],
    cells: impl Iterator<Item = &'a str>,
) {
    let start = out.len();
    for (index, ((column, width), cell)) in columns.iter().zip(widths).zip(cells).enumerate() {
        if index > 0 {
            out.push_str("  ");
        }
        let length = cell.chars().count();
        let fill = " ".repeat(width.saturating_sub(length));
        match column {
            Column::Number(_) => {
                out.push_str(&fill);
                out.push_str(cell);
            }
            _ if length > *width => {
                out.extend(cell.chars().take(width.saturating_sub(1)));
                out.push('…');
            }
            _ => {
                out.push_str(cell);
                out.push_str(&fill);
            }
        }
    }
    let end = out.trim_end_matches(' ').len().max(start);
    out.truncate(end);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [Column::Text("Name"), Column::Long("Agent"), Column::Number("Left")];

    fn row(cells: [&str; 3]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn cells_are_aligned_and_cleaned() {
        let rows = [row(["Alice", "Z 3.2\u{1b}[2J", "59s"]), row(["Bo", "", "1h00m"])];
        assert_eq!(
            render(&COLUMNS, &rows, None),
            "Name   Agent      Left\n\
             Alice  Z 3.2[2J    59s\n\
             Bo               1h00m\n"
        );
    }

    #[test]
    fn only_long_columns_are_cut() {
        let rows = [row(["Alice-of-the-lab", "A very long user agent 1.2.3", "59s"])];
        assert_eq!(
            render(&COLUMNS, &rows, Some(36)),
            "Name              Agent         Left\n\
             Alice-of-the-lab  A very long…   59s\n"
        );
        let narrow = render(&COLUMNS, &rows, Some(5));
        assert!(narrow.contains("Alice-of-the-lab  A very …"), "{narrow}");
    }

    #[test]
    fn no_rows_leave_the_titles() {
        assert_eq!(render(&COLUMNS, &[], Some(80)), "Name  Agent  Left\n");
    }
}
