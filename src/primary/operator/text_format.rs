//! OpenMetrics as the older text format of Prometheus, for those who do not ask for OpenMetrics: people, and tools
//! such as `promtool check metrics`.

use std::collections::HashMap;

/// The same metrics in the older format: there, the suffix of a counter belongs to its name, versions are a gauge,
/// and units and the end are not marked.
pub fn text_format(open_metrics: &str) -> String {
    let kinds: HashMap<_, _> = open_metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            text.extend([line, "\n"]);
            continue;
        };
        let mut words = comment.splitn(3, ' ');
        let (Some(word @ ("HELP" | "TYPE")), Some(name), Some(rest)) =
            (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let (suffix, kind) = match kinds.get(name).copied() {
            Some("counter") => ("_total", "counter"),
            Some("info") => ("_info", "gauge"),
            Some("unknown") | None => ("", "untyped"),
            Some(kind) => ("", kind),
        };
        let rest = if word == "TYPE" { kind } else { rest };
        text.extend(["# ", word, " ", name, suffix, " ", rest, "\n"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_has_the_same_metrics() {
        let open_metrics = "\
# HELP a_build The versions.
# TYPE a_build info
a_build_info{version=\"1\"} 1
# HELP a_time_seconds The time.
# TYPE a_time_seconds gauge
# UNIT a_time_seconds seconds
a_time_seconds 1.5
# HELP a_requests Requests.
# TYPE a_requests counter
a_requests_total{slot=\"0\"} 3
# TYPE a_latency histogram
a_latency_bucket{le=\"+Inf\"} 1
a_latency_sum 0.1
a_latency_count 1
# EOF
";
        let expected = "\
# HELP a_build_info The versions.
# TYPE a_build_info gauge
a_build_info{version=\"1\"} 1
# HELP a_time_seconds The time.
# TYPE a_time_seconds gauge
a_time_seconds 1.5
# HELP a_requests_total Requests.
# TYPE a_requests_total counter
a_requests_total{slot=\"0\"} 3
# TYPE a_latency histogram
a_latency_bucket{le=\"+Inf\"} 1
a_latency_sum 0.1
a_latency_count 1
";
        assert_eq!(text_format(open_metrics), expected);
        assert_eq!(text_format("# EOF\n"), "");
    }
}
