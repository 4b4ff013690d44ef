use super::*;

const H100: Limits = Limits {
    multiprocessors: 132,
    shared: 228 << 10,
    shared_block: 227 << 10,
    clusters: true,
};
const NO_CLUSTERS: Limits = Limits {
    clusters: false,
    ..H100
};

fn jobs() -> Vec<Job> {
    let mut jobs = vec![];
    for [b, t, d] in [
        [1, 1, 1],
        [2, 3, 5],
        [64, 512, 64],
        [64, 512, 384],
        [64, 4096, 384],
        [8, 65_536, 384],
        [1, 65_536, 1024],
        [3, 33_753, 7],
        [4096, 16, 64],
    ] {
        for pass in [Pass::Forward, Pass::Backward] {
            for (elem, parts, part_bytes) in
                [(4, 2, 8), (4, 3, 12), (2, 2, 4), (2, 3, 6), (2, 2, 6)]
            {
                for (all, aligned) in [(true, true), (false, true), (true, false)] {
                    jobs.push(Job {
                        pass,
                        size: Size { b, t, d },
                        elem,
                        parts,
                        part_bytes,
                        all,
                        aligned,
                    });
                }
            }
        }
    }
    jobs
}

/// Each tile that can be chosen has its kernels.
#[test]
fn every_tile_is_compiled() {
    let source = include_str!("kernels.cuh");
    let ways = [false, true].map(|eight| [(eight, H100), (eight, NO_CLUSTERS)]);
    for (job, (eight, limits)) in
        (jobs().into_iter()).flat_map(|j| ways.as_flattened().iter().map(move |w| (j, *w)))
    {
        let tile = match job.aligned {
            true => Tile::choose_of(table(job, eight), job, limits),
            false => ANY,
        };
        let line = tile.line(job.pass);
        assert!(source.lines().any(|l| l == line), "{job:?}: {line}");
        assert_eq!(Tile::written(job.pass, &line), Some(tile));
    }
}

#[test]
fn tiles_cover_and_fit() {
    for job in jobs() {
        let tile = Tile::choose(job, H100);
        let Size { b, t, d } = job.size;
        assert!(tile.total(job.size) * tile.rows() * tile.channels() >= b * t * d);
        assert!(tile.shared(job) <= H100.shared_block, "{job:?} {tile:?}");
        assert!(tile.threads() <= 1024);
        assert!(tile.vec == 1 || job.aligned);
        let grid = tile.grid(job, H100);
        assert!(grid >= 1 && grid <= tile.total(job.size));
        assert!(tile.scratch(job.size) <= scratch_len(job.size));
        let small = Limits {
            multiprocessors: 16,
            shared: 100 << 10,
            shared_block: 99 << 10,
            clusters: true,
        };
        let tile = Tile::choose(job, small);
        assert!(tile.shared(job) <= small.shared_block, "{job:?} {tile:?}");
        assert!(tile.scratch(job.size) <= scratch_len(job.size));
    }
}

/// Without a rest where it shows; and the tiles by which models in `docs/paper.md` were trained keep their bits: those of the record
/// (64 sequences of 256 steps, 320 channels) are small ones by seven warps, all others wide or streams.
#[test]
fn eight_warps_cut_512_steps_without_a_rest() {
    let job = |[b, t, d]: [usize; 3], pass, parts| Job {
        pass,
        size: Size { b, t, d },
        elem: 2,
        parts,
        part_bytes: 2 * parts,
        all: true,
        aligned: true,
    };
    for pass in [Pass::Forward, Pass::Backward] {
        for parts in [2, 3] {
            let of = |dims| {
                let job = job(dims, pass, parts);
                (Tile::choose(job, H100), job.size.t)
            };
            let (tile, t) = of([64, 512, 64]);
            assert_eq!((tile.group, t % (tile.rows() * tile.cluster)), (8, 0));
            assert!(tile.warps == 8 || tile.cluster == 2);
            let (tile, t) = of([64, 500, 64]);
            assert_eq!((tile.warps, tile.group, t), (7, 8, 500));
            assert_eq!(of([64, 256, 320]).0.warps, 7, "the record");
            assert_eq!(of([64, 256, 768]).0.group, 1, "shakespeare");
            assert!(of([64, 4112, 384]).0.stages > 0, "selective copying");
        }
    }
}

fn named(pass: Pass, [b, t, d]: [usize; 3], elem: usize, parts: usize, limits: Limits) -> String {
    let job = Job {
        pass,
        size: Size { b, t, d },
        elem,
        parts,
        part_bytes: parts * elem,
        all: true,
        aligned: true,
    };
    Tile::choose(job, limits).name(pass)
}

/// What was measured as the best.
#[test]
fn tiles_are_those_that_were_measured() {
    let name = |pass, b, t, d, elem| named(pass, [b, t, d], elem, 2, H100);
    let f = Pass::Forward;
    assert_eq!(name(f, 64, 4096, 384, 4), "32_7_8_2_1_3_2");
    assert_eq!(name(f, 8, 65_536, 384, 4), "8_7_8_4_8_2_1");
    assert_eq!(name(f, 1, 65_536, 1024, 4), "8_7_8_4_8_2_1");
    assert_eq!(name(f, 64, 512, 384, 4), "16_8_4_4_1_3_0_by_2");
    assert_eq!(name(f, 64, 512, 64, 4), "8_7_4_4_8_4_0");
    assert_eq!(name(f, 64, 512, 384, 2), "32_8_4_4_1_4_0");
    assert_eq!(name(f, 64, 512, 64, 2), "8_16_4_4_8_2_0_by_2");
    assert_eq!(name(f, 8, 65_536, 384, 2), "16_15_8_4_1_1_2");
    assert_eq!(name(f, 1, 65_536, 1024, 2), "8_7_8_4_8_2_2");
    let b = Pass::Backward;
    assert_eq!(name(b, 64, 512, 384, 4), "8_8_4_4_8_2_0_0_by_4");
    assert_eq!(name(b, 64, 512, 384, 2), "32_8_4_4_1_3_0_1");
    assert_eq!(name(b, 64, 512, 64, 2), "8_16_4_4_8_2_0_2_by_2");
    assert_eq!(name(b, 8, 65_536, 384, 4), "32_15_4_2_1_1_2_0");
    assert_eq!(name(b, 1, 65_536, 1024, 2), "8_7_4_4_8_2_2_0");
    let lstm = |pass, elem| named(pass, [64, 512, 384], elem, 3, H100);
    assert_eq!(lstm(f, 4), "16_8_4_4_1_3_0_by_2");
    assert_eq!(lstm(b, 4), "8_4_4_4_8_6_0_2_by_8");
}

/// By clusters only where there are any; whole sequences only of the length that was timed.
#[test]
fn clusters_are_where_they_can_be() {
    let (f, b) = (Pass::Forward, Pass::Backward);
    for (pass, t, d, elem, tile) in [
        (f, 512, 384, 4, "16_8_4_4_1_3_0"),
        (b, 512, 384, 4, "16_8_4_4_1_2_0_0"),
        (f, 512, 64, 2, "8_8_4_4_8_4_0"),
        (b, 512, 64, 2, "8_8_4_4_8_3_0_1"),
    ] {
        assert_eq!(named(pass, [64, t, d], elem, 2, NO_CLUSTERS), tile);
    }
    for (pass, t, d, elem, tile) in [
        (f, 384, 384, 4, "16_8_4_4_1_3_0_by_2"),
        (b, 384, 384, 4, "16_8_4_4_1_2_0_0"),
        (f, 384, 64, 2, "8_8_4_4_8_4_0"),
        (b, 384, 64, 2, "8_8_4_4_8_3_0_1"),
    ] {
        assert_eq!(named(pass, [64, t, d], elem, 2, H100), tile);
    }
}
