//! Figures as they stand in the documents.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use plotters::prelude::*;

use crate::{Figures, workspace};

/// Where the figures lie that stand in the document.
const FIGURES: &str = "docs/figures";
/// What begins and ends a block of figures: `<!-- figures: pipeline -->` and `<!-- end -->`.
const BEGIN: &str = "<!-- figures: ";
const END: &str = "<!-- end -->";
/// The size of a plot.
const SIZE: (u32, u32) = (720, 400);

/// Writes every block of `docs/performance.md` again, and draws its curves beside the figures.
///
/// # Errors
/// With what could not be read or written.
pub fn write() -> Result<(), String> {
    let document = document();
    let text =
        std::fs::read_to_string(&document).map_err(|error| format!("{}: {error}", document.display()))?;
    let text = filled(&text, read)?;
    std::fs::write(&document, text).map_err(|error| error.to_string())
}

fn document() -> PathBuf {
    workspace().join("docs/performance.md")
}

fn read(bench: &str) -> Result<String, String> {
    let file = workspace().join(FIGURES).join(format!("{bench}.json"));
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let figures: Figures =
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    draw(bench, &figures)?;
    Ok(table(&figures))
}

/// The document with every block filled.
fn filled(text: &str, figures: impl Fn(&str) -> Result<String, String>) -> Result<String, String> {
    let mut written = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (bench, after) = after.split_once(" -->").ok_or("a mark does not end with -->")?;
        let (_, after) = after.split_once(END).ok_or_else(|| format!("the block {bench} has no {END}"))?;
        let block = figures(bench)?;
        let _ = write!(written, "{before}{BEGIN}{bench} -->\n{block}{END}");
        rest = after;
    }
    Ok(written + rest)
}

/// A table in Markdown.
fn table(figures: &Figures) -> String {
    let mut text = format!("\n{}\n\n| what | figure | beside |\n|---|---:|---|\n", figures.machine);
    for row in &figures.rows {
        let _ = writeln!(text, "| {} | {} | {} |", row.what, row.figure, row.beside);
    }
    text + "\n"
}

/// Draws curves, all of one benchmark that share what stands before the colon of their names.
fn draw(bench: &str, figures: &Figures) -> Result<(), String> {
    let curves: Vec<_> = figures.curves.iter().collect();
    let mut groups: Vec<&str> = curves.iter().map(|(name, _)| group(name)).collect();
    groups.dedup();
    for name in groups {
        let curves: Vec<_> = curves.iter().filter(|(curve, _)| group(curve) == name).copied().collect();
        let file = workspace().join(FIGURES).join(format!("{bench}-{}.svg", name.replace(' ', "-")));
        plot(&file, name, &curves).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

fn group(curve: &str) -> &str {
    curve.split(':').next().unwrap_or(curve)
}

fn plot(
    file: &Path,
    name: &str,
    curves: &[(&String, &Vec<(f64, f64)>)],
) -> Result<(), Box<dyn std::error::Error>> {
    let points = || curves.iter().flat_map(|(_, points)| points.iter());
    let (least, most) =
        points().fold((f64::MAX, 0f64), |(least, most), (x, _)| (least.min(*x), most.max(*x)));
    let highest = points().fold(0f64, |highest, (_, y)| highest.max(*y));
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(name, ("sans-serif", 20))
        .margin(16)
        .margin_right(32)
        .x_label_area_size(40)
        .y_label_area_size(72)
        .build_cartesian_2d((least..most).log_scale(), 0.0..highest * 1.2)?;
    let whole = |x: &f64| format!("{x:.0}");
    let mut mesh = chart.configure_mesh();
    mesh.x_labels(6).x_label_formatter(&whole).light_line_style(BLACK.mix(0.05)).draw()?;
    for (place, (curve, points)) in curves.iter().enumerate() {
        let colour = Palette99::pick(place).to_rgba();
        let label = curve.split(": ").nth(1).unwrap_or(curve);
        let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3);
        chart
            .draw_series(line)?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.2)).draw()?;
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn blocks_are_written_anew_and_everything_else_stays() {
        let text =
            "# A\n<!-- figures: one -->\nold\n<!-- end -->\nwords\n<!-- figures: two -->\n<!-- end -->\n";
        let new = filled(text, |bench| Ok(format!("{bench}!\n"))).unwrap();
        assert_eq!(
            new,
            "# A\n<!-- figures: one -->\none!\n<!-- end -->\nwords\n<!-- figures: two -->\ntwo!\n<!-- end -->\n"
        );
        assert!(filled("<!-- figures: one -->", |_| Ok(String::new())).unwrap_err().contains("one"));
    }

    #[test]
    fn the_document_holds_the_figures_that_lie_beside_it() {
        let text = std::fs::read_to_string(document()).unwrap();
        assert_eq!(
            filled(&text, |bench| {
                let file = workspace().join(FIGURES).join(format!("{bench}.json"));
                Ok(table(&serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()))
            })
            .unwrap(),
            text,
            "run cargo hostler bench --report"
        );
    }
}
