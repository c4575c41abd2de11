// The entry of a guest that runs in the engine: the build puts the author's module where "chorus:script" is.

import "./native.js";
import "./globals.js";
import Script from "chorus:script";
import { serve } from "./guest.js";

serve(Script);
