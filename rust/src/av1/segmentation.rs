//! `segmentation_params` (5.9.14).

use super::descriptors::su;
use crate::bits::BitReader;

pub const MAX_SEGMENTS: usize = 8;
const SEG_LVL_MAX: usize = 8;
pub const SEG_LVL_ALT_Q: usize = 0;
pub const SEG_LVL_REF_FRAME: usize = 5;
pub const SEG_LVL_SKIP: usize = 6;
pub const SEG_LVL_GLOBALMV: usize = 7;
const MAX_LOOP_FILTER: i16 = 63;

const SEGMENTATION_FEATURE_BITS: [u32; SEG_LVL_MAX] = [8, 6, 6, 6, 6, 3, 0, 0];
const SEGMENTATION_FEATURE_SIGNED: [bool; SEG_LVL_MAX] = [true, true, true, true, true, false, false, false];
const SEGMENTATION_FEATURE_MAX: [i16; SEG_LVL_MAX] =
    [255, MAX_LOOP_FILTER, MAX_LOOP_FILTER, MAX_LOOP_FILTER, MAX_LOOP_FILTER, 7, 0, 0];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Segmentation {
    pub enabled: bool,
    pub update_map: bool,
    pub temporal_update: bool,
    /// `FeatureData` where `FeatureEnabled`.
    features: [[Option<i16>; SEG_LVL_MAX]; MAX_SEGMENTS],
    /// `SegIdPreSkip`.
    pub seg_id_pre_skip: bool,
    /// `LastActiveSegId`.
    pub last_active_seg_id: u8,
}

impl Segmentation {
    /// `previous` are those of the frame that `primary_ref_frame` names.
    pub fn parse(r: &mut BitReader, previous: Option<&Self>) -> Self {
        let mut segmentation = Self { enabled: r.flag(), ..Self::default() };
        if !segmentation.enabled {
            return segmentation;
        }
        let mut update_data = true;
        segmentation.update_map = true;
        if let Some(previous) = previous {
            segmentation.features = previous.features;
            segmentation.update_map = r.flag();
            segmentation.temporal_update = segmentation.update_map && r.flag();
            update_data = r.flag();
        }
        if update_data {
            segmentation.features = [(); MAX_SEGMENTS].map(|()| std::array::from_fn(|j| feature(r, j)));
        }
        for (i, features) in segmentation.features.iter().enumerate() {
            if features.iter().any(Option::is_some) {
                segmentation.last_active_seg_id = i as u8;
            }
            segmentation.seg_id_pre_skip |= features[SEG_LVL_REF_FRAME..].iter().any(Option::is_some);
        }
        segmentation
    }

    /// The feature's data where `seg_feature_active_idx` (5.11.14).
    pub fn feature(&self, segment_id: u8, feature: usize) -> Option<i16> {
        if self.enabled { self.features[usize::from(segment_id) % MAX_SEGMENTS][feature] } else { None }
    }

    /// `seg_feature_active_idx` (5.11.14).
    pub fn is_active(&self, segment_id: u8, feature: usize) -> bool {
        self.feature(segment_id, feature).is_some()
    }

    /// Whether the frame takes over segments from the map before it.
    pub fn takes_map(&self) -> bool {
        self.enabled && (self.temporal_update || !self.update_map)
    }
}

fn feature(r: &mut BitReader, j: usize) -> Option<i16> {
    let feature_enabled = r.flag();
    feature_enabled.then(|| {
        let (bits, limit) = (SEGMENTATION_FEATURE_BITS[j], SEGMENTATION_FEATURE_MAX[j]);
        if SEGMENTATION_FEATURE_SIGNED[j] {
            (su(r, 1 + bits) as i16).clamp(-limit, limit)
        } else {
            (r.u(bits) as i16).clamp(0, limit)
        }
    })
}
