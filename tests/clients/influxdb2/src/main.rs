//! Writes to a collector as programs do that use the `influxdb2` crate: `influxdb2-client URL BUCKET TOKEN`.
//!
//! Prints how many points it wrote. Nothing of ours is used: this is what others do.

use futures::stream;
use influxdb2::Client;
use influxdb2::api::write::TimestampPrecision;
use influxdb2::models::DataPoint;

/// 2023-11-14T22:13:20Z.
const START_S: i64 = 1_700_000_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, bucket, token] = arguments.as_slice() else {
        return Err("usage: influxdb2-client URL BUCKET TOKEN".into());
    };
    let client = Client::new(url, "school", token);
    let point = |at: i64| {
        DataPoint::builder("boiler")
            .tag("room", "B 12")
            .field("celsius", 20.5 + at as f64)
            .field("on", at % 2 == 0)
            .field("cycles", at)
            .field("note", "it's \"fine\"")
            .timestamp((START_S + at) * 1_000_000_000)
            .build()
    };
    let points = (0..100).map(point).collect::<Result<Vec<_>, _>>()?;
    client.write(bucket, stream::iter(points)).await?;
    let seconds = (100..200).map(|at| DataPoint::builder("boiler").tag("room", "B 12").field("cycles", at).timestamp(START_S + at).build());
    let seconds = seconds.collect::<Result<Vec<_>, _>>()?;
    client.write_with_precision(bucket, stream::iter(seconds), TimestampPrecision::Seconds).await?;
    println!("200");
    Ok(())
}
