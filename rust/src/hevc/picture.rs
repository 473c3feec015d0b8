//! What of a picture outlives its slice segments.

use std::sync::Arc;

use super::contexts::Contexts;
use super::pps::Pps;
use super::residual::StatCoeff;
use super::slice_header::{SegmentStart, SliceHeader};
use super::sps::Sps;
use super::tiles::CtbScan;
use crate::error::{Error, Result};
use crate::map::{Buffers, FrameMap};

/// In the place of a slice's address where nothing is parsed yet.
pub const NOT_CODED: u32 = u32::MAX;

/// State that a later slice segment, tile or row of CTUs takes over (9.3.2.4).
#[derive(Debug, Clone)]
pub struct Stored {
    pub contexts: Contexts,
    pub stat_coeff: StatCoeff,
    pub palette_predictor_size: usize,
}

/// A picture under way.
pub struct Picture {
    pub sps: Arc<Sps>,
    pub pps: Arc<Pps>,
    pub slice_pic_parameter_set_id: u32,
    pub slice: Option<SliceHeader>,
    pub scan: CtbScan,
    /// `SliceAddrRs` of the slice that each CTB lies in, `NOT_CODED` before it is parsed.
    pub slice_addr_rs: Vec<u32>,
    /// Depth and skip flag of the coding blocks along the lower edge of what is parsed, every 8 samples.
    pub above: Vec<u8>,
    /// At the end of the slice segment before (`TableStateIdxDs`).
    pub stored_ds: Option<Stored>,
    /// Behind the second CTB of the row above (`TableStateIdxWpp`).
    pub stored_wpp: Option<Stored>,
    /// `QpY` of the last coding unit, which a dependent slice segment goes on from.
    pub qp_y_prev: i32,
    pub map: FrameMap,
}

impl Picture {
    pub fn new(start: &SegmentStart, buffers: Buffers) -> Result<Self> {
        let (sps, pps) = (start.sps.clone(), start.pps.clone());
        let scan = CtbScan::new(&sps, &pps)?;
        let (width, height) = (sps.pic_width_in_luma_samples, sps.pic_height_in_luma_samples);
        Ok(Self {
            slice_pic_parameter_set_id: start.slice_pic_parameter_set_id,
            slice: None,
            slice_addr_rs: vec![NOT_CODED; scan.len()],
            above: vec![0; scan.width << (sps.ctb_log2_size_y - 3)],
            stored_ds: None,
            stored_wpp: None,
            qp_y_prev: 0,
            map: FrameMap::within(buffers, 1 << sps.ctb_log2_size_y, width, height, sps.crop),
            scan,
            sps,
            pps,
        })
    }

    pub fn begin_slice(&mut self, slice: &SliceHeader, is_dependent: bool) {
        if !is_dependent {
            self.qp_y_prev = slice.slice_qp_y;
        }
        self.map.picture_type = self.map.picture_type.or(slice.slice_type.picture_type());
        self.slice = Some(*slice);
    }

    pub fn into_map(self) -> Result<FrameMap> {
        if self.slice_addr_rs.contains(&NOT_CODED) {
            return Err(Error::corrupt("coding tree units are missing from the picture", 0));
        }
        Ok(self.map)
    }
}
